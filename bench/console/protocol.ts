/** What the processes of the console benchmark tell each other. */
export type Command =
  | { readonly do: "cpu" }
  /** Takes so many samples, one after the other. */
  | { readonly do: "sample"; readonly times: number }
  | { readonly do: "stop" };

export type Report =
  | { readonly is: "listening"; readonly port: number; readonly adminPort: number }
  | {
      readonly is: "cpu";
      /** CPU time that the process has used. */
      readonly micros: number;
      /** Its monotonic clock, ms. */
      readonly at: number;
      readonly published: number;
    }
  /** CPU time of one sample, with its text. */
  | { readonly is: "sampled"; readonly micros: number; readonly bytes: number };
