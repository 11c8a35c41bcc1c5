// What the suites expect to find: fetch and WebSocket are Node's and Debian's, chai is Debian's.
import { createRequire } from "node:module";

const require = createRequire("/usr/share/nodejs/");
const chai = require("chai");

chai.Assertion.addMethod("startsWith", function (prefix) {
  this.assert(
    String(this._obj).startsWith(prefix),
    "expected #{this} to start with #{exp}",
    "expected #{this} not to start with #{exp}",
    prefix,
  );
});

globalThis.WebSocket = require("ws").WebSocket;
globalThis.chai = chai;
