// A client in TypeScript: types from openapi-typescript, calls by openapi-fetch.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import createClient from "openapi-fetch";
import { Webhook } from "standardwebhooks";
import type { components, paths } from "./contract.d.ts";

type Job = components["schemas"]["Job"];
const { COATCHECK_URL, COATCHECK_API_KEY, PORT } = process.env;
const api = createClient<paths>({
  baseUrl: COATCHECK_URL!,
  headers: { Authorization: `Bearer ${COATCHECK_API_KEY}` },
});

function good<T>({ data, error }: { data?: T; error?: components["schemas"]["Envelope"] }): T {
  if (error) throw new Error(`${error.error.code}: ${error.error.message}`);
  return data!;
}

async function ended(job_id: string): Promise<Job> {
  for (;;) {
    const path = { job_id };
    const job = good(await api.GET("/api/v1/jobs/{job_id}", { params: { path, query: { wait: 20 } } }));
    if (job.status !== "pending" && job.status !== "processing") return job;
  }
}

async function bulk(): Promise<string> {
  const file = new File(['{"text": "great"}\n{"text": "awful"}\n'], "rows.jsonl");
  const place = good(
    await api.POST("/api/v1/uploads", {
      body: { filename: file.name, content_type: "application/x-ndjson", size: file.size },
    }),
  );
  const form = new FormData();
  for (const [name, value] of Object.entries(place.fields)) form.append(name, value);
  form.append("file", file);
  const sent = await fetch(place.url, { method: "POST", body: form });
  if (!sent.ok) throw new Error(`the store answered ${sent.status}`);
  const made = good(await api.POST("/api/v1/jobs", { body: { model: "sentiment", upload_id: place.upload_id } }));
  const { status, result } = await ended(made.job_id);
  if (!result || !("output_url" in result) || typeof result.output_url !== "string") throw new Error(status);
  return (await (await fetch(result.output_url)).text()).trim();
}

async function called(): Promise<string> {
  const body = { url: `http://127.0.0.1:${PORT}/hook`, events: ["job.completed" as const] };
  const endpoint = good(await api.POST("/api/v1/webhooks", { body }));
  const webhook = new Webhook(endpoint.secret!);
  const event = new Promise<string>((resolve, reject) => {
    const server = createServer(async (request, response) => {
      const text = (await request.setEncoding("utf8").toArray()).join("");
      response.writeHead(204).end();
      server.close();
      try {
        const headers = request.headers as Record<string, string>;
        resolve((webhook.verify(text, headers) as { type: string }).type);
      } catch (error) {
        reject(error);
      }
    }).listen(Number(PORT), "127.0.0.1");
  });
  good(await api.POST("/api/v1/jobs", { body: { model: "sentiment", inputs: { text: "great" } } }));
  const type = await event;
  await api.DELETE("/api/v1/webhooks/{endpoint_id}", { params: { path: { endpoint_id: endpoint.id } } });
  return type;
}

const now = good(await api.POST("/api/v1/predict", { body: { model: "sentiment", inputs: { text: "great" } } }));
if (!("confidence" in now)) throw new Error("a ticket");
console.log("predict", now.prediction, now.confidence);

async function asked(model: string, inputs: Record<string, unknown>) {
  return good(await api.POST("/api/v1/predict", { body: { model, inputs } }));
}
const orange = (await readFile("orange.png")).toString("base64");
const [price, vector, picture] = await Promise.all([
  asked("clients-price", { x: 2, y: 1 }),
  asked("clients-vector", { x: 2, y: 1 }),
  asked("clients-picture", { image: orange }),
]);
if (!("prediction" in price && "embedding" in vector && "prediction" in picture)) throw new Error("a ticket");
console.log("a number", price.prediction, "a vector", vector.embedding, "a picture", JSON.stringify(picture.prediction));

const ticket = good(await api.POST("/api/v1/jobs", { body: { model: "sentiment", inputs: [{ text: "great" }, { text: "awful" }] } }));
const job = await ended(ticket.job_id);
console.log("job", job.model, job.priority, JSON.stringify(job.result));

console.log("bulk", (await bulk()).split("\n").length, "rows");
console.log("webhook", await called());

const { error } = await api.GET("/api/v1/jobs/{job_id}", { params: { path: { job_id: "job_none" } } });
console.log("error", error?.error.code satisfies components["schemas"]["Error"]["code"] | undefined);
