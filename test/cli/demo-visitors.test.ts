/** Who the demo takes its visitors for. */
import { expect, it } from "vitest";
import { Visitors } from "../../cli/demo/visitors.ts";

it("knows a visitor by its pass, and gives newcomers names of their own", () => {
  const visitors = new Visitors();
  const first = visitors.enter({});
  const second = visitors.enter({ pass: "guessed" });
  expect(second.user).not.toBe(first.user);
  expect(second.name).not.toBe(first.name);
  expect(second.pass).not.toBe("guessed");
  expect(visitors.enter({ pass: first.pass })).toBe(first);
  // The id that the others see is no pass.
  expect(visitors.enter({ pass: first.user })).not.toBe(first);
});

it("takes another name as one line that fits, and keeps the old one where nothing is left", () => {
  const visitors = new Visitors();
  const { pass } = visitors.enter({});
  expect(visitors.enter({ pass, name: " Zoë\n& Co " }).name).toBe("Zoë & Co");
  expect(visitors.enter({ pass, name: "\u0000\t " }).name).toBe("Zoë & Co");
  expect(visitors.enter({ pass, name: { evil: true } }).name).toBe("Zoë & Co");
  expect([...visitors.enter({ pass, name: "\u{1f600}".repeat(100) }).name]).toHaveLength(40);
});

it("lets nobody back in who was signed out", () => {
  const visitors = new Visitors();
  const { pass, user } = visitors.enter({});
  expect(visitors.signOut(user)).toBe(true);
  expect(visitors.enter({ pass, name: "Ada again" })).toMatchObject({ ended: true, user });
  expect(visitors.signOut("nobody")).toBe(false);
});

it("forgets who was away longest when a thousand have come", () => {
  const visitors = new Visitors();
  const first = visitors.enter({});
  const second = visitors.enter({});
  for (let more = 0; more < 998; more++) visitors.enter({});
  visitors.enter({ pass: first.pass });
  visitors.enter({});
  expect(visitors.enter({ pass: first.pass })).toBe(first);
  expect(visitors.enter({ pass: second.pass })).not.toBe(second);
});
