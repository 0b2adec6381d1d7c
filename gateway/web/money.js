// Amounts as people read them, from minor units of any currency.

const LOCALE = navigator.languages.find((language) => language.startsWith("en")) ?? "en-GB";

export function money(minor, currency) {
  const format = new Intl.NumberFormat(LOCALE, { style: "currency", currency });
  return format.format(Number(minor) / 10 ** format.resolvedOptions().maximumFractionDigits);
}
