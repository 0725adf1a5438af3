/** The button with which a visitor waves to the others: an event of a moment, which nobody stores. */
import type { ClientEvent, RtmClient } from "../../../apex-plugins/client/index.ts";
import { element, show } from "./dom.ts";

const WAVE = "client:wave";
/** How long a wave is seen, ms. */
export const WAVE_MS = 3000;

const READY =
  "The others see it for 3 s, on all nodes. Nobody stores it: who comes later sees none.";
const OFFLINE = "Not while the page is not connected: nothing waits for a wave.";
const ONE_WAY = "Not without a WebSocket: an event stream or polls bring messages, and take none.";

export function isWave({ eventName }: ClientEvent): boolean {
  return eventName === WAVE;
}

/**
 * Offers it while something carries it, and says why where nothing does.
 * @param tell what became of a wave
 */
export function offerWaves(
  client: RtmClient,
  channel: string,
  tell: (error?: unknown) => void,
): void {
  const button = element<HTMLButtonElement>("wave");
  client.onStatus(({ via }) => {
    button.disabled = via !== "websocket";
    show("wave-note", via === undefined ? OFFLINE : button.disabled ? ONE_WAY : READY);
  });
  button.addEventListener("click", () => {
    client.publish(channel, WAVE).then(() => tell(), tell);
  });
}
