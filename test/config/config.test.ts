import { describe, expect, test } from "bun:test";
import { type Config, loadConfig, parseConfig } from "../../src/config/config.ts";
import type { Environment } from "../../src/config/environment.ts";
import { StartError } from "../../src/errors.ts";
import { openRoutes, routes } from "../../src/routes.ts";
import { registry } from "./registry.ts";

/** The sample of LiteLLM's page "Fine-tuning API". */
const sample = `finetune_settings:
  - custom_llm_provider: azure
    api_base: https://exampleopenaiendpoint-production.up.railway.app
    api_key: os.environ/AZURE_API_KEY
    api_version: "2023-03-15-preview"
  - custom_llm_provider: openai
    api_key: os.environ/OPENAI_API_KEY
files_settings:
  - custom_llm_provider: azure
    api_base: https://exampleopenaiendpoint-production.up.railway.app
    api_key: fake-key
    api_version: "2023-03-15-preview"
  - custom_llm_provider: openai
    api_key: os.environ/OPENAI_API_KEY
`;

const keys = { AZURE_API_KEY: "azure-secret", OPENAI_API_KEY: "openai-secret" };

function parse(text: string, environment: Environment = {}): Config {
  return parseConfig(text, "config.yaml", environment, registry);
}

function readMistakes(text: string, environment: Environment = {}): string {
  try {
    parse(text, environment);
  } catch (error) {
    if (error instanceof StartError) return error.message;
    throw error;
  }
  return "";
}

describe("backends", () => {
  test("LiteLLM's sample loads unchanged: files by files_settings, jobs by finetune_settings", () => {
    const { backends, fileName, usesDefaultBackend } = parse(sample, keys);
    const azure = {
      api_base: "https://exampleopenaiendpoint-production.up.railway.app",
      api_version: "2023-03-15-preview",
    };
    const openai = {
      api_key: "openai-secret",
      api_base: "https://api.openai.com/v1",
      timeout: 600,
    };
    expect(backends).toEqual([
      {
        name: "azure",
        provider: "azure",
        files: { ...azure, api_key: "fake-key" },
        jobs: { ...azure, api_key: "azure-secret" },
      },
      { name: "openai", provider: "openai", files: openai, jobs: openai },
    ]);
    expect(fileName).toBe("config.yaml");
    expect(usesDefaultBackend).toBe(false);
  });

  test("equal options in both lists are one object, different ones are two", () => {
    const [azure, openai] = parse(sample, keys).backends;
    expect(openai?.files).toBe(openai?.jobs);
    expect(azure?.files).not.toBe(azure?.jobs);
  });

  test("options that are equal only by a default are one object too", () => {
    const [backend] = parse(
      "finetune_settings: [{ custom_llm_provider: local }]\n" +
        "files_settings: [{ custom_llm_provider: local, max_concurrent_jobs: 1 }]",
    ).backends;
    expect(backend?.files).toBe(backend?.jobs);
  });

  test.each(["finetune_settings", "files_settings"])(
    "an entry in %s alone serves files and jobs",
    (list) => {
      const [backend, ...others] = parse(`${list}: [{ custom_llm_provider: local }]`).backends;
      expect(others).toEqual([]);
      expect(backend?.files).toEqual({ max_concurrent_jobs: 1 });
      expect(backend?.files).toBe(backend?.jobs);
    },
  );

  test("backends stand in the order of the file, whichever list comes first", () => {
    const { backends } = parse(`
files_settings:
  - { custom_llm_provider: local, name: third }
  - { custom_llm_provider: local, name: first }
finetune_settings:
  - { custom_llm_provider: local, name: second }
  - { custom_llm_provider: local, name: third }
`);
    expect(backends.map(({ name }) => name)).toEqual(["third", "first", "second"]);
  });

  test("several backends of one provider go by name, the one without has the provider's", () => {
    const { backends } = parse(`
finetune_settings:
  - { custom_llm_provider: local, name: big, max_concurrent_jobs: 4 }
  - { custom_llm_provider: local }
  - { custom_llm_provider: local, name: A-1_b.c }
`);
    expect(backends.map(({ name, provider }) => [name, provider])).toEqual([
      ["big", "local"],
      ["local", "local"],
      ["A-1_b.c", "local"],
    ]);
  });

  test("a backend may be named as a provider that has no entry", () => {
    const text = "finetune_settings: [{ custom_llm_provider: local, name: openai }]";
    expect(parse(text).backends).toMatchObject([{ name: "openai", provider: "local" }]);
  });

  test("an empty list beside one with entries is fine", () => {
    const text = "files_settings: []\nfinetune_settings: [{ custom_llm_provider: local }]";
    expect(parse(text).backends).toHaveLength(1);
  });

  test("no backend can be named as the first segment of a route", () => {
    for (const [, pattern] of [...routes, ...openRoutes]) {
      const name = pattern.split("/")[0];
      const text = `finetune_settings: [{ custom_llm_provider: local, name: "${name}" }]`;
      expect(readMistakes(text)).toContain("finetune_settings[0].name: must not be");
    }
  });

  test("default_provider may be the name of a backend or a provider with an entry", () => {
    const list = "finetune_settings: [{ custom_llm_provider: local, name: mine }]";
    for (const name of ["mine", "local"]) {
      const { general } = parse(`general_settings: { default_provider: ${name} }\n${list}`);
      expect(general.default_provider).toBe(name);
    }
  });
});

describe("without lists", () => {
  test("the default provider serves alone, under its own name", () => {
    const config = parse("general_settings: { max_file_size_mb: 5 }\nmodel_list: []\n");
    expect(config.usesDefaultBackend).toBe(true);
    expect(config.backends).toEqual([
      {
        name: "local",
        provider: "local",
        files: { max_concurrent_jobs: 1 },
        jobs: { max_concurrent_jobs: 1 },
      },
    ]);
    expect(config.backends[0]?.files).toBe(config.backends[0]?.jobs);
    expect(config.general.max_file_size_mb).toBe(5);
  });

  test("loadConfig() without a file gives the default backend, limits and environment's key", async () => {
    const config = await loadConfig(undefined, { LITELLM_MASTER_KEY: "sk-1" }, registry);
    expect(config).toMatchObject({ fileName: undefined, unused: [], usesDefaultBackend: true });
    expect(config.backends.map(({ name }) => name)).toEqual(["local"]);
    expect(config.general).toEqual({
      master_key: "sk-1",
      max_file_size_mb: 512,
      validate_files: "refuse",
      idle_timeout_seconds: 60,
      list_timeout_seconds: 5,
      shutdown_timeout_seconds: 30,
      plugin_timeout_seconds: 900,
    });
  });

  test("the smallest config that a mistake shows is one that works", () => {
    const smallest = readMistakes("").replace(/^.*write at least /, "");
    expect(parse(smallest).backends).toMatchObject([{ name: "local", provider: "local" }]);
  });
});

describe("general_settings", () => {
  const list = "finetune_settings: [{ custom_llm_provider: local }]\n";

  test("an empty block is as none", () => {
    expect(parse(`general_settings:\n${list}`).general).toEqual(parse(list).general);
  });

  test("the file's master key goes before TUNEGATE_MASTER_KEY, that before LITELLM_MASTER_KEY", () => {
    const both = { TUNEGATE_MASTER_KEY: "ours", LITELLM_MASTER_KEY: "theirs" };
    const file = `general_settings: { master_key: file }\n${list}`;
    expect(parse(file, both).general.master_key).toBe("file");
    expect(parse(list, both).general.master_key).toBe("ours");
    expect(parse(list, { LITELLM_MASTER_KEY: "theirs" }).general.master_key).toBe("theirs");
    expect(parse(list).general.master_key).toBeUndefined();
  });

  test("an empty variable is no master key", () => {
    const environment = { TUNEGATE_MASTER_KEY: "", LITELLM_MASTER_KEY: "theirs" };
    expect(parse(list, environment).general.master_key).toBe("theirs");
    expect(parse(list, { TUNEGATE_MASTER_KEY: "" }).general.master_key).toBeUndefined();
  });

  test("a master key that no header can carry is refused, from a variable too", async () => {
    const environment = { TUNEGATE_MASTER_KEY: "hunter2\n" };
    const message =
      'Cannot use environment variable "TUNEGATE_MASTER_KEY": must be printable ASCII without spaces, at least one character';
    expect(readMistakes(list, environment)).toBe(message);
    expect(readMistakes("finetune_settings: []", environment).split("\n")[1]).toBe(message);
    await expect(loadConfig(undefined, environment, registry)).rejects.toThrow(
      new StartError(message),
    );
  });
});

describe("os.environ/", () => {
  test("stands for a variable at any depth, if it is the whole string", () => {
    const { backends } = parse(
      `
finetune_settings:
  - custom_llm_provider: os.environ/PROVIDER
    name: os.environ/NAME
    trainer: [os.environ/PYTHON, "os.environ", "-c os_environ/PYTHON"]
  - custom_llm_provider: openai
    api_key: "os.environ/KEY"
    headers: { x-team: 'os.environ/TEAM' }
`,
      { PROVIDER: "local", NAME: "mine", PYTHON: "python3", KEY: "secret", TEAM: "42" },
    );
    expect(backends).toMatchObject([
      {
        name: "mine",
        jobs: {
          trainer: ["python3", "os.environ", "-c os_environ/PYTHON"],
        },
      },
      { name: "openai", jobs: { api_key: "secret", headers: { "x-team": "42" } } },
    ]);
  });

  test("a variable's text is taken as it is: no YAML, no further variable", () => {
    const text = "finetune_settings: [{ custom_llm_provider: openai, api_key: os.environ/KEY }]";
    for (const value of ["os.environ/KEY", "Bearer os.environ/KEY", "[1]", "true", "a\nb", " "]) {
      expect(parse(text, { KEY: value }).backends).toMatchObject([{ jobs: { api_key: value } }]);
    }
  });

  test("a variable named as a member of every object is not set", () => {
    const text =
      "finetune_settings: [{ custom_llm_provider: openai, api_key: os.environ/toString }]";
    expect(readMistakes(text)).toContain('environment variable "toString" is not set');
  });

  test("the secrets are what stands under keys that look like secrets, and the master key", () => {
    const { secrets } = parse(
      `general_settings: { master_key: os.environ/MASTER }
finetune_settings:
  - custom_llm_provider: openai
    api_key: a-literal
    api_base: https://example.com
    organization: os.environ/TEAM
    headers: { authorization: Basic xyz, x-api-key: os.environ/HEADER, x-team: the-red-ones }
`,
      { MASTER: "the-master", TEAM: "the-red-ones", HEADER: "the-header" },
    );
    expect([...secrets].sort()).toEqual(["Basic xyz", "a-literal", "the-header", "the-master"]);
  });

  test("a secret of less than 8 characters is none to mask: it may be an ordinary word", async () => {
    const { secrets } = parse(`
general_settings: { master_key: masters }
finetune_settings:
  - { custom_llm_provider: openai, api_key: test }
  - { custom_llm_provider: openai, name: padded, api_key: "    test    " }
  - { custom_llm_provider: openai, name: longer, api_key: testtest }
`);
    expect(secrets).toEqual(["testtest"]);
    const environment = { TUNEGATE_MASTER_KEY: "masters" };
    expect((await loadConfig(undefined, environment, registry)).secrets).toEqual([]);
  });
});

describe("YAML", () => {
  test("LiteLLM's other blocks are named, and what is in them does not matter", () => {
    const { unused } = parse(`
model_list:
  - { a: 1, a: 2, key: os.environ/NOT_SET, alias: *nowhere }
finetune_settings: [{ custom_llm_provider: local }]
litellm_settings:
router_settings: text
mcp_servers: {}
`);
    expect(unused).toEqual(["model_list", "litellm_settings", "router_settings", "mcp_servers"]);
  });

  test("anchors, aliases and merge keys work as in LiteLLM, the mapping's own keys first", () => {
    const { backends } = parse(`
finetune_settings:
  - &main
    custom_llm_provider: openai
    api_key: &key first-key
    timeout: 10
  - <<: *main
    name: second
    timeout: 20
  - <<: [{ name: third }, *main]
    organization: *key
files_settings:
  - *main
`);
    expect(backends).toMatchObject([
      { name: "openai", jobs: { api_key: "first-key", timeout: 10 } },
      { name: "second", jobs: { api_key: "first-key", timeout: 20 } },
      { name: "third", jobs: { api_key: "first-key", timeout: 10, organization: "first-key" } },
    ]);
  });

  test("a plain date, yes and a quoted << are text, as YAML 1.2 has it", () => {
    const { backends } = parse(`%YAML 1.1
---
finetune_settings:
  - custom_llm_provider: azure
    api_base: https://example.com
    api_key: yes
    api_version: 2024-10-21
  - custom_llm_provider: openai
    api_key: x
    headers: { "<<": merge }
`);
    expect(backends).toMatchObject([
      { jobs: { api_key: "yes", api_version: "2024-10-21" } },
      { jobs: { headers: { "<<": "merge" } } },
    ]);
  });

  test("thousands of open brackets are a mistake, not a crash", () => {
    // How deep the parser can go is a matter of the machine's stack.
    expect(readMistakes("[".repeat(10_000))).toStartWith("config.yaml:1:");
    const deep = `general_settings: ${"[".repeat(2000)}${"]".repeat(2000)}`;
    expect(readMistakes(deep)).toContain("holds more than 32 levels");
  });

  test("a file cut off anywhere loads or gives a StartError, and shows no secret", () => {
    const whole = sample.replace("fake-key", "'hunter2 \"x'").replace("azure", '"azure"');
    for (let length = 0; length < whole.length; length++) {
      expect(readMistakes(whole.slice(0, length), keys)).not.toContain("hunter2");
    }
  });
});

describe("prices", () => {
  const list = "finetune_settings: [{ custom_llm_provider: local, name: own }]\n";

  test("are none where the file has none", async () => {
    expect(parse(list).prices).toEqual([]);
    expect((await loadConfig(undefined, {}, registry)).prices).toEqual([]);
  });

  test("are read in their order, for a backend by name or provider, or for all", () => {
    const text = `${list}prices:
  - { model: gpt-4.1, backend: own, usd_per_million_tokens: 12.5 }
  - { model: gpt-4.1, backend: local, usd_per_million_tokens: 25 }
  - { model: gpt-4.1, usd_per_million_tokens: 27.5 }
  - { model: "*", usd_per_million_tokens: 0 }
`;
    expect(parse(text).prices).toEqual([
      { model: "gpt-4.1", backend: "own", usd_per_million_tokens: 12.5 },
      { model: "gpt-4.1", backend: "local", usd_per_million_tokens: 25 },
      { model: "gpt-4.1", usd_per_million_tokens: 27.5 },
      { model: "*", usd_per_million_tokens: 0 },
    ]);
  });

  test("may be for the backend that is there without lists", () => {
    const prices = "prices: [{ model: tiny-lm, backend: local, usd_per_million_tokens: 1 }]";
    expect(parse(prices).prices).toMatchObject([{ backend: "local" }]);
  });

  test("have no limit of a job's cost unless one is set", () => {
    expect(parse(list).general.max_job_cost_usd).toBeUndefined();
    const limit = "general_settings: { max_job_cost_usd: 0.5 }";
    expect(parse(`${list}${limit}`).general.max_job_cost_usd).toBe(0.5);
  });
});
