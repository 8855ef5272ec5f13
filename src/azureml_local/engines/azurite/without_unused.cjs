// Loaded before Azurite. Azurite loads what it does not use here, which would double the time that it needs to start and
// add 65 MB: the Application Insights client, also where telemetry is off (--disableTelemetry), and a mapper to SQL
// databases, also where its data lies in files. Here it gets an object of which every member is itself. The HTTP client,
// by which it copies from other addresses, it gets when it first does so.
"use strict";
const Module = require("module");

const load = Module._load;
const UNUSED = /^(applicationinsights|sequelize)/;
const LATER = "axios";
const nothing = new Proxy(function () {}, {
  get: (target, key) => (key === Symbol.toPrimitive ? () => "" : key === "prototype" ? target.prototype : nothing),
  apply: () => nothing,
  construct: () => nothing,
});

Module._load = function (request, parent, isMain) {
  const asked = () => load.apply(this, arguments);
  const isAzurites = /[\\/]azurite[\\/]dist[\\/]/.test((parent && parent.filename) || "");
  if (isAzurites && UNUSED.test(request)) return nothing;
  return isAzurites && request === LATER ? { __esModule: true, get default() { return asked(); } } : asked();
};
