import { describe, expect, test } from "bun:test";
import { check, checkValues, listFindings } from "./samples.ts";

// Put together here, so that no scanner of repositories takes them for real ones.
const key = ["sk", "proj", "aB3dE6gH9jK2mN5pQ8sT1vW4"].join("-");
const secrets: Readonly<Record<string, readonly string[]>> = {
  secret_api_key: [
    key,
    ["sk", "aB3dE6gH9jK2mN5pQ8sT1vW4"].join("-"),
    ["sk", "live", "aB3dE6gH9jK2mN5p"].join("_"),
    `AKIA${"IOSFODNN7EXAMPLE"}`,
    `ghp_${"aB3d".repeat(9)}`,
    `github_pat_${"aB3d".repeat(6)}`,
    `glpat-${"aB3d".repeat(5)}`,
    `hf_${"aBcD".repeat(8)}`,
    `AIza${"aB3dE".repeat(7)}`,
    `xoxb-${"123456789012-abcdefabcdef"}`,
  ],
  secret_private_key: [
    `-----BEGIN ${"RSA PRIVATE KEY"}-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----`,
    `-----BEGIN ${"OPENSSH PRIVATE KEY"}-----\n${"b3BlbnNzaC1rZXktdjEAAAAA".repeat(3)}`,
  ],
  secret_jwt: [`eyJ${"hbGciOiJIUzI1NiJ9"}.eyJ${"zdWIiOiIxMjM0NSJ9"}.${"c2lnbmF0dXJl"}`],
  personal_card_number: [
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "4111111111111111",
    "378282246310005",
    "3782 822463 10005",
    "5555555555554444",
    "6011111111111117",
    "3056 930902 5904",
  ],
  personal_email: ["ada.lovelace+notes@mail.example.org", "x@y.io"],
};

const harmless = [
  "a task-based approach to risk-averse desk-bound work",
  "sk-learn-compatible-estimators-and-transformers",
  "AKIA is a prefix, and so is ghp_ or eyJ",
  "4111 1111 1111 1112",
  "1234 5678 9012 3456",
  "0.4111111111111111",
  "order 41111111111111111111111",
  "2024-01-02 03:04:05 2024-01-02 03:04:05",
  "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
  "an array[@index], @property and user@localhost",
  "-----BEGIN CERTIFICATE-----\nMIIEpAIBAAKCAQEA",
  `data:image/png;base64,${"AKIA"}${"ABCDEFGH12345678"}`,
  "getElementsByClassNameAndAttributeValue",
];

const user = { role: "user", content: "And now?" };

function makeExample(content: unknown) {
  return { messages: [user, { role: "assistant", content }] };
}

describe("a warning about", () => {
  for (const [code, texts] of Object.entries(secrets)) {
    for (const [index, secret] of texts.entries()) {
      test(`${code} (${index + 1}) names its place and does not show it`, async () => {
        for (const text of [
          secret,
          `See:\n${secret}`,
          `It is "${secret}", he said.`,
          `漢字 ${secret}`,
        ]) {
          const report = await checkValues([makeExample("No."), makeExample(text)]);
          expect(report.errors.count).toBe(0);
          expect(listFindings(report.warnings)).toEqual([`2 messages[1].content ${code}`]);
          for (const line of secret.split("\n")) {
            expect(JSON.stringify(report)).not.toContain(line);
          }
        }
      });
    }
  }

  test("what only looks like a secret is not given", async () => {
    for (const text of harmless) {
      const { warnings } = await checkValues([makeExample(text)]);
      expect([text, listFindings(warnings)]).toEqual([text, []]);
    }
  });

  test("each kind is given once for an example, at the first place", async () => {
    const content = [
      { type: "text", text: "nothing" },
      { type: "text", text: `${key} and a@b.org` },
      { type: "text", text: `${key} and c@d.org` },
    ];
    const { warnings } = await checkValues([makeExample(content)]);
    expect(listFindings(warnings)).toEqual([
      "1 messages[1].content[1].text secret_api_key",
      "1 messages[1].content[1].text personal_email",
    ]);
  });

  test("numbers, keys and tools is given too, without showing keys", async () => {
    const { warnings } = await checkValues([
      { messages: [user], card: 4111111111111111 },
      { messages: [user], [key]: { "a@b.org": 1 }, n: { [key]: "c@d.org" } },
    ]);
    expect(listFindings(warnings)).toEqual([
      "1 card personal_card_number",
      "2 - secret_api_key",
      "2 [other] personal_email",
    ]);
    expect(JSON.stringify(warnings)).not.toContain(key);
  });

  test("texts of megabytes ends soon", async () => {
    for (const unit of ["sk-", "a@", "eyJ", "4111 ", "-----BEGIN ", ".eyJaaaaaaaaaaaa", "x"]) {
      const { errors } = await checkValues([makeExample(unit.repeat(2_000_000 / unit.length))]);
      expect(errors.count).toBe(0);
    }
  });
});

test("errors never show a secret either", async () => {
  for (const secret of Object.values(secrets).flat()) {
    const quoted = JSON.stringify(secret);
    const lines = [
      secret,
      `{"a": ${secret}}`,
      `{"messages": ${quoted}`,
      quoted,
      `[${quoted}]`,
      `{"messages":${quoted}}`,
      `{"messages":[${quoted}]}`,
      `{"messages":[{"role":${quoted}}]}`,
      `{"messages":[{"role":"user","content":"a",${quoted}:1},{"role":"assistant","content":"b"}]}`,
      `{"messages":[{"role":"tool","content":"a","tool_call_id":${quoted}}]}`,
      `{"messages":[],"tools":[{"type":${quoted},"function":{"name":${quoted}}}]}`,
      `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":${quoted},"detail":${quoted}}}]}]}`,
      `{"contents":[{"role":${quoted},"parts":[]}],"references":{${quoted}:1}}`,
      `{${quoted}:1}`,
    ].map((line) => line.replaceAll("\n", " "));
    const report = await check(lines.join("\n"));
    expect(report.errors.count).toBeGreaterThan(10);
    const text = JSON.stringify(report);
    for (const part of secret.split(/\s*\n\s*/)) {
      expect(text).not.toContain(part);
      if (part.length > 18) expect(text).not.toContain(part.slice(0, 18));
    }
  }
});
