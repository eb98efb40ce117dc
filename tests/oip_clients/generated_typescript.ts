// Asks the platform one question, by calls of openapi-fetch that have types from openapi-typescript, and prints what
// came of it: generated_typescript.py says which.
import createClient, { type Middleware } from "openapi-fetch";
import type { paths as WithoutVersion } from "./v1.d.ts";
import type { components, paths as OfVersion2 } from "./v2.d.ts";

type Schemas = components["schemas"];
// What has no version stands in the contract of v1 alone.
type Paths = OfVersion2 & Pick<WithoutVersion, "/healthz" | "/ready">;
type Asked = { key: string | null; model: string; inputs: Record<string, unknown>[]; version?: string };
type Answer = { version: string; outputs: Record<string, unknown[]> };

/** The type that the contract has for an answer of this status and media type. */
export type Body<Path extends keyof Paths, Method extends keyof Paths[Path], Status, Media> =
  Paths[Path][Method] extends { responses: infer All }
    ? (Status extends keyof All ? All[Status] : All["default" & keyof All]) extends { content: infer Contents }
      ? Contents[Media & keyof Contents]
      : never
    : never;

class Refused extends Error {}

const { key, ...asked }: Asked = JSON.parse(process.argv[3]!);
const answers: Record<"path" | "method" | "status" | "media" | "text", string>[] = [];
const kept: Middleware = {
  async onResponse({ request, response, schemaPath: path }) {
    const media = response.headers.get("content-type") ?? "";
    const text = await response.clone().text();
    answers.push({ path, method: request.method.toLowerCase(), status: `${response.status}`, media, text });
  },
};
const api = createClient<Paths>({
  baseUrl: process.env.COATCHECK_URL!,
  headers: key ? { Authorization: `Bearer ${key}` } : {},
});
api.use(kept);

function good<T>({ data, error }: { data?: T; error?: Schemas["Problem"] }): T {
  if (error) {
    const faults = (error.errors ?? []).map(({ field, issue }) => `${field} ${issue}`);
    throw new Refused([error.detail, ...faults].join("; "));
  }
  return data!;
}

function atOnce<T extends object>(found: T): Exclude<T, Schemas["Ticket"]> {
  if ("job_id" in found) throw new Error("a ticket, which nobody asked for");
  return found as Exclude<T, Schemas["Ticket"]>;
}

function answer({ model }: { model: Schemas["ServedModel"] }, items: Schemas["BatchItem"][]): Answer {
  const values = (name: string) => items.flatMap(({ tensors }) => tensors![name]!.data);
  const tensors = Object.keys(items[0]?.tensors ?? {}).map((name) => [name, values(name)]);
  const outputs = tensors.length ? Object.fromEntries(tensors) : { prediction: items.map((item) => item.prediction) };
  return { version: model.version, outputs };
}

const questions: Record<string, (asked: Omit<Asked, "key">) => Promise<unknown>> = {
  async live() {
    return (await api.GET("/healthz")).data?.status === "healthy";
  },

  async ready() {
    return (await api.GET("/ready")).data?.status === "ready";
  },

  async takes({ model: name }) {
    const path = { name, version: "1.0.0" };
    return good(await api.GET("/api/v2/models/{name}/versions/{version}", { params: { path } })).input_schema;
  },

  async predict({ model, inputs: [row = {}], version: model_version }) {
    const found = atOnce(good(await api.POST("/api/v2/predict", { body: { model, model_version, inputs: row } })));
    return answer(found, [found]);
  },

  async batch({ model, inputs, version: model_version }) {
    const found = atOnce(good(await api.POST("/api/v2/predict/batch", { body: { model, model_version, inputs } })));
    return answer(found, found.predictions);
  },

  async job({ model, inputs }) {
    const { job_id } = good(await api.POST("/api/v2/jobs", { body: { model, inputs } }));
    const path = { job_id };
    let job: Schemas["Job"];
    do {
      job = good(await api.GET("/api/v2/jobs/{job_id}", { params: { path, query: { wait: 20 } } }));
    } while (job.status === "pending" || job.status === "processing");
    const result = good(await api.GET("/api/v2/jobs/{job_id}/result", { params: { path } }));
    // What a model says of a file may have any names, so none of them tells which kind of result it is.
    return answer(job, (result as Schemas["PredictionsResult"]).predictions);
  },
};

async function came(): Promise<{ answer: unknown } | { refused: string }> {
  try {
    return { answer: await questions[process.argv[2]!]!(asked) };
  } catch (error) {
    if (error instanceof Refused) return { refused: error.message };
    throw error;
  }
}

console.log(JSON.stringify({ ...(await came()), answers }));
