// Compiles every text of a folder with Tint, and makes every pipeline of its pipelines.json within
// WebGPU's default limits, on Dawn's device that computes nothing. Prints a table of what is
// refused; exits with 1 if anything is.
//
//     node judge_tint.mjs FOLDER      where node_modules has the package webgpu
import { readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const folder = resolve(process.argv[2]);
const dawn = pathToFileURL(resolve("node_modules/webgpu/index.js"));
const { create, globals } = await import(dawn);
Object.assign(globalThis, globals);
let gpu = create(["backend=null"]);
const adapter = await gpu.requestAdapter();
const wanted = ["shader-f16", "subgroups"];
const has = wanted.filter((feature) => adapter.features.has(feature));
if (has.length < wanted.length) {
    console.error(`this build has ${has}, not all of ${wanted}`);
    process.exit(1);
}
const device = await adapter.requestDevice({ requiredFeatures: wanted });

// What no browser has: wgpu's own extension.
const foreign = "enable wgpu_cooperative_matrix;";
const modules = new Map();
const refused = [];
const skipped = [];
for (const name of readdirSync(folder).filter((name) => name.endsWith(".wgsl")).sort()) {
    const code = readFileSync(join(folder, name), "utf8");
    if (code.includes(foreign)) {
        skipped.push(name);
        continue;
    }
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ code, label: name });
    const { messages } = await module.getCompilationInfo();
    await device.popErrorScope();
    const errors = messages.filter(({ type }) => type === "error");
    for (const { lineNum, message } of errors) {
        refused.push(`${name}:${lineNum}  ${message.split("\n")[0]}`);
    }
    for (const { type, lineNum, message } of messages.filter(({ type }) => type === "warning")) {
        console.log(`${type}: ${name}:${lineNum}  ${message.split("\n")[0]}`);
    }
    if (errors.length === 0) {
        modules.set(name, module);
    }
}

const pipelines = JSON.parse(readFileSync(join(folder, "pipelines.json"), "utf8"));
let made = 0;
for (const { text, constants } of pipelines.filter(({ text }) => modules.has(text))) {
    const compute = { module: modules.get(text), entryPoint: "main", constants };
    try {
        await device.createComputePipelineAsync({ layout: "auto", compute });
        made += 1;
    } catch (error) {
        refused.push(`${text} ${JSON.stringify(constants)}  ${error.message.split("\n")[0]}`);
    }
}

console.log(`texts that compile        ${modules.size}`);
console.log(`pipelines made            ${made}`);
console.log(`texts of wgpu's extension ${skipped.length}  ${skipped.join(" ")}`);
console.log(`refused                   ${refused.length}`);
refused.forEach((line) => console.log(`  ${line}`));
// Dawn keeps node alive for as long as it is in reach.
gpu = undefined;
process.exit(refused.length === 0 && modules.size > 0 && made > modules.size ? 0 : 1);
