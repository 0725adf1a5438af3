// Preload (`node --import`) that makes the PL/SQL grammar usable: with antlr4 as published a package
// body of 160 lines takes 74 s here, with this preload 10 s, and the second one far less.
//  - antlr4's source modules instead of its bundle, which is transpiled to ES5;
//  - its hash set and hash map on Map, instead of objects with string keys;
//  - PredictionMode.getConflictingAltSubsets of antlr4 4.13.0 forgets to return its hash, so that
//    every lookup is a linear search.
import { register } from "node:module";

register("./fast-antlr-hooks.mjs", import.meta.url);
