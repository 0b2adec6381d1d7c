// The address of the page that takes payments, for what it is asked.
export const payLink = (query) => `/pay?${new URLSearchParams(query)}`;
