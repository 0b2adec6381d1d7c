// Amounts as people read them, from minor units of any currency.

const LOCALE = navigator.languages.find((language) => language.startsWith("en")) ?? "en-GB";

const formatOf = (currency) => new Intl.NumberFormat(LOCALE, { style: "currency", currency });
const digitsOf = (currency) => formatOf(currency).resolvedOptions().maximumFractionDigits;

export const money = (minor, currency) => formatOf(currency).format(Number(minor) / 10 ** digitsOf(currency));

// In a field, and out of it again.
export const plain = (minor, currency) => (Number(minor) / 10 ** digitsOf(currency)).toFixed(digitsOf(currency));
export const minorOf = (text, currency) => Math.round(Number(text.replace(",", ".")) * 10 ** digitsOf(currency));
