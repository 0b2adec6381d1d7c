// JSON Schemas as lists of fields; a schema inside another opens in place.

import { el, inline, prose } from "./dom.js";

let schemas = {};

export function useSchemas(all) {
  schemas = all;
}

const nameOf = (schema) => schema?.$ref?.split("/").pop();
const resolved = (schema) => (schema?.$ref ? { ...schemas[nameOf(schema)], ...schema } : schema ?? {});

// What a value is, in a word or two, with a link to the schema it has.
export function typeOf(schema) {
  const name = nameOf(schema);
  if (name) return [el("a", { href: `#schema:${name}` }, name)];
  if (schema.anyOf) return join(schema.anyOf.map(typeOf), " or ");
  if ("const" in schema) return [el("code", {}, JSON.stringify(schema.const))];
  if (schema.type === "array") return ["list of ", ...typeOf(schema.items ?? {})];
  if (schema.type === "object" && typeof schema.additionalProperties === "object") {
    return ["map of ", ...typeOf(schema.additionalProperties)];
  }
  return [schema.format && schema.type === "string" ? schema.format : schema.type ?? "anything"];
}

export function rulesOf(schema) {
  if (schema.anyOf) return [...new Set(schema.anyOf.flatMap(rulesOf))];
  const rules = [
    range(schema.minLength, schema.maxLength, "characters"),
    range(schema.minItems, schema.maxItems, "items"),
    range(schema.minimum, schema.maximum, ""),
    schema.uniqueItems && "no two alike",
    schema.pattern && schema.format !== "int64" && `matches ${schema.pattern}`,
    schema.enum && schema.enum.join(" · "),
  ];
  return rules.filter(Boolean);
}

// The fields of an object, or one line for anything else. In a request some are required, in an answer some may be
// missing. `opened`: names of schemas around it.
export function fields(schema, { answer = false, opened = [] } = {}) {
  const { properties, required = [], oneOf, anyOf } = resolved(schema);
  if (!properties) {
    const choices = (oneOf ?? anyOf ?? []).filter((choice) => choice.properties);
    if (choices.length) return el("div", {}, choices.map((choice) => [el("h5", {}, choice.title ?? "or"), fields(choice, { answer, opened })]).flat());
    return el("p.soft", {}, typeOf(schema), ruleText(resolved(schema)));
  }
  if (!Object.keys(properties).length) return el("p.soft", {}, "No fields.");
  const seen = nameOf(schema) ? [...opened, nameOf(schema)] : opened;
  return el("ul.fields", {}, Object.entries(properties).map(([name, property]) => field(name, property, required.includes(name), { answer, opened: seen })));
}

function field(name, property, isRequired, { answer, opened }) {
  const inner = property.type === "array" ? property.items : property;
  const innerName = nameOf(inner);
  const nests = resolved(inner).properties && !opened.includes(innerName);
  return el("li", {},
    el("div.field", {}, el("code.name", {}, name), " ", el("span.type", {}, typeOf(property)),
      isRequired && !answer ? el("span.required", {}, "required") : "",
      answer && !isRequired ? el("span.type", {}, "· if set") : ""),
    ruleText(property.$ref && resolved(property).enum ? resolved(property) : property),
    property.description ? prose(property.description) : "",
    nests ? el("details", {}, el("summary", {}, `Fields of ${innerName ?? name}`), fields(inner, { answer, opened })) : "");
}

function ruleText(schema) {
  const rules = rulesOf(schema);
  return rules.length ? el("div.rules", {}, rules.join(", ")) : "";
}

export function schemaView(name) {
  const schema = schemas[name];
  if (!schema) return el("p", {}, "There is no such schema.");
  return el("article", {},
    el("h1", {}, name), prose(schema.description),
    schema.enum ? el("ul.values", {}, schema.enum.map((value) => el("li", {}, el("code", {}, value)))) : fields({ $ref: `#/${name}` }, { answer: schema.additionalProperties !== false }));
}

export function parameterRow(parameter) {
  return el("li", {},
    el("div.field", {}, el("code.name", {}, parameter.name), " ", el("span.type", {}, typeOf(parameter.schema), ` in ${parameter.in}`),
      parameter.required ? el("span.required", {}, "required") : ""),
    ruleText(resolved(parameter.schema)),
    parameter.description ? el("p", {}, inline(parameter.description)) : "");
}

function range(low, high, unit) {
  if (low === undefined && high === undefined) return "";
  if (low === 1 && high === undefined && unit) return "not empty";
  const words = low === undefined ? `at most ${high}` : high === undefined ? `at least ${low}` : low === high ? `${low}` : `${low} to ${high}`;
  return `${words} ${unit}`.trim();
}

function join(lists, separator) {
  return lists.flatMap((list, index) => (index ? [separator, ...list] : list));
}
