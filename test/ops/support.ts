export { type Finished, has, Program, rtm, temporaryDirectory } from "../support/programs.ts";
