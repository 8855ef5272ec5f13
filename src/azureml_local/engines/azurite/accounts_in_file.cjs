// Loaded before Azurite. It takes accounts and their keys from its environment, which cannot change while it runs. Here
// they come from a file, which is looked at again where it has changed: an account is there as soon as it was written.
"use strict";
const fs = require("fs");
const { createRequire } = require("module");

const AccountDataStore = createRequire(process.argv[1])("../common/AccountDataStore").default;
const FILE = process.env.AZUREML_LOCAL_ACCOUNTS;
const getAccount = AccountDataStore.prototype.getAccount;

AccountDataStore.prototype.refresh = function () {
  const found = fs.statSync(FILE, { bigint: true });
  const state = `${found.ino} ${found.mtimeNs}`; // it is replaced, never written over
  if (state !== this.state) {
    this.accounts = this.parserAccountsEnvironmentString(fs.readFileSync(FILE, "utf8"));
    this.state = state;
  }
};

AccountDataStore.prototype.getAccount = function (name) {
  this.refresh();
  return getAccount.call(this, name);
};
