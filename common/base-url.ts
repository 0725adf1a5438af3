/** The URL of a relay, below which everything of it lies. */

/** What is wrong with one that can be parsed; undefined when nothing is. It quotes nothing: there may be a password. */
export function baseUrlProblem(text: string): string | undefined {
  const { username, password, search, hash } = new URL(text);
  if (username !== "" || password !== "") {
    return "must hold no user and no password: keys and tokens come from files or the environment";
  }
  if (search !== "" || hash !== "" || /[?#]/.test(text))
    return "must end with its path: no ? and no #";
  return undefined;
}
