// Every schema of the contract must compile in ajv's strict mode, and every example must fit its schema.
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import formats from "ajv-formats";

const contract = JSON.parse(
  readFileSync("contract.json", "utf8").replaceAll("#/components/schemas/", "#/$defs/"),
);
const $defs = contract.components.schemas;
const ajv = formats(new Ajv({ strict: true, allErrors: true }));
let schemas = 0;
let examples = 0;

const compiled = (schema) => {
  schemas += 1;
  return ajv.compile({ ...schema, $defs });
};

function walk(node) {
  if (node === null || typeof node !== "object") return;
  if (node.schema) {
    const fits = compiled(node.schema);
    for (const { value } of [{ value: node.example }, ...Object.values(node.examples ?? {})]) {
      if (value === undefined) continue;
      examples += 1;
      if (!fits(value)) throw new Error(`${JSON.stringify(value)}: ${ajv.errorsText(fits.errors)}`);
    }
  }
  Object.values(node).forEach(walk);
}

for (const name of Object.keys($defs)) compiled({ $ref: `#/$defs/${name}` });
for (const part of ["paths", "webhooks"]) walk(contract[part]);
walk(contract.components.responses);

const upload = compiled({ $ref: "#/$defs/NewUpload" });
const asked = { filename: "rows.jsonl", content_type: "text/csv", size: 1 };
if (!upload(asked) || upload({ ...asked, filename: "rows.jsonl\n" })) throw new Error("a pattern is read in another way");
console.log(`${schemas} schemas, ${examples} examples`);
