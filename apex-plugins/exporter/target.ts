/** Browsers with ES2022: what APEX 22.1 and later support, and no polyfill for private members. */
export const BROWSER_TARGET = "es2022";
