import { expect, it } from "vitest";
import { jsonProblem } from "../../common/json-place.ts";

it.each([
  ['{\n  "a": 1,\n  "b" 2\n}', 'line 3, column 7: unexpected "2"'],
  ['{\n  "a": "x\n}', 'line 2, column 8: unexpected "\\""'],
  ['{ "a": [1, 2,] }', 'line 1, column 14: unexpected "]"'],
  ["{ a: 1 }", 'line 1, column 3: unexpected "a"'],
  ['{ "a": 1 } // done', 'line 1, column 12: unexpected "/"'],
  ['{ "a": 01 }', 'line 1, column 9: unexpected "1"'],
  ['{ "a": tru }', 'line 1, column 8: unexpected "t"'],
  ['{ "a": { "b": null }', "line 1, column 21: the text ends here"],
  ["", "line 1, column 1: the text ends here"],
])("%j is no JSON: %s", (text, problem) => {
  expect(() => JSON.parse(text)).toThrow();
  expect(jsonProblem(text)).toBe(problem);
});
