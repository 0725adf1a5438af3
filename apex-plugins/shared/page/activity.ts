/** Whether somebody uses the page. */

const SIGNS = ["pointerdown", "pointermove", "keydown", "wheel", "touchmove"] as const;

/** Tells whether the user did something in this page since the last renewal. */
export class Activity {
  #active = false;
  #waiting: (() => void)[] = [];

  constructor() {
    const active = () => {
      this.#active = true;
      this.#check();
    };
    let place: string | undefined;
    const sign = (event: Event) => {
      if (!event.isTrusted) return;
      if (event instanceof MouseEvent && event.type === "pointermove") {
        // Browsers report a move when the page changes below a mouse that lies still.
        const before = place;
        place = `${event.screenX} ${event.screenY}`;
        if (before === undefined || before === place) return;
      }
      active();
    };
    for (const type of SIGNS) addEventListener(type, sign, { passive: true, capture: true });
    // Going back to a page is something the user did.
    addEventListener("pageshow", ({ persisted }) => persisted && active());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") active();
    });
  }

  /** Resolves when the page is visible and the user was active since the last time. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#check();
    });
  }

  /** A renewal took place. */
  used(): void {
    this.#active = false;
  }

  #check(): void {
    if (!this.#active || document.visibilityState !== "visible") return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
