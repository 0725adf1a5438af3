/**
 * A browser started under the locale C or POSIX reports a language such as `en-US@posix`, which
 * `Intl` refuses; uPlot asks `Intl` for it while it is loaded, so this is imported before it.
 */

try {
  new Intl.Locale(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en-US" });
}
