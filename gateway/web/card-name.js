// A saved card as people tell it from others.

const BRANDS = { amex: "American Express", diners: "Diners Club", unionpay: "UnionPay", jcb: "JCB" };

export const cardName = ({ brand, last4 }) => `${BRANDS[brand] ?? brand.charAt(0).toUpperCase() + brand.slice(1)} ending in ${last4}`;

export const expiryOf = ({ expireMonth, expireYear }) => `Good until ${String(expireMonth).padStart(2, "0")}/${expireYear}`;
