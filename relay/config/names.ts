/** Names as the sections of the relay's configuration spell them. */
import { textWithout } from "../../common/schema.ts";
import { nameProblem } from "../contract/message.ts";
import { patternProblem } from "../contract/patterns.ts";

/** A channel's name, or a prefix with a trailing `*`. */
export const channelPattern = textWithout(patternProblem);
/** 1-128 bytes without control characters and `*`, as the name of a channel. */
export const plainName = textWithout(nameProblem);
