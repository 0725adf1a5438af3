/** Stands in for MLE's module, whose import makes `fetch` global; Node has it already. */
export {};
