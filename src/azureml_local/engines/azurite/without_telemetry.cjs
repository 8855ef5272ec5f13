// Loaded before Azurite. Azurite loads the Application Insights client even where telemetry is off (--disableTelemetry),
// which doubles the time it needs to start and adds 50 MB. Here it gets an object of which every member is itself.
"use strict";
const Module = require("module");

const load = Module._load;
const nothing = new Proxy(function () {}, {
  get: (target, key) => (key === Symbol.toPrimitive ? () => "" : key === "prototype" ? target.prototype : nothing),
  apply: () => nothing,
  construct: () => nothing,
});

Module._load = function (request, parent, isMain) {
  const isAzurites = /[\\/]azurite[\\/]dist[\\/]/.test((parent && parent.filename) || "");
  return isAzurites && request.startsWith("applicationinsights") ? nothing : load.apply(this, arguments);
};
