// Amounts as people read them, from minor units of ISO 4217.

const LOCALE = navigator.languages.find((language) => language.startsWith("en")) ?? "en-GB";

// Where they are not two. Browsers have other ones: forints and dinars without any, since nobody pays them.
const DIGITS = { BHD: 3, BIF: 0, CLP: 0, DJF: 0, GNF: 0, IQD: 3, ISK: 0, JOD: 3, JPY: 0, KMF: 0, KRW: 0, KWD: 3, LYD: 3, OMR: 3,
  PYG: 0, RWF: 0, TND: 3, UGX: 0, VND: 0, VUV: 0, XAF: 0, XOF: 0, XPF: 0 };
const digitsOf = (currency) => DIGITS[currency] ?? 2;

export function money(minor, currency) {
  const digits = digitsOf(currency);
  const form = { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(LOCALE, form).format(Number(minor) / 10 ** digits);
}

// In a field, and out of it again; NaN for what is no amount, `1,000` yen or `9.999` euros.
export const plain = (minor, currency) => (Number(minor) / 10 ** digitsOf(currency)).toFixed(digitsOf(currency));

export function minorOf(text, currency) {
  const [whole, part = ""] = text.trim().split(/[.,]/);
  const isAmount = /^\d+([.,]\d+)?$/.test(text.trim()) && part.length <= digitsOf(currency);
  return isAmount ? Number(whole + part.padEnd(digitsOf(currency), "0")) : NaN;
}
