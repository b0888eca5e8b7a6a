import { describe, expect, test } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { convertToGemini } from "../../../src/dataset/gemini/convert.ts";
import { answer, convertExamples, findRefusal, signal, user } from "./support.ts";

const dot = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0xff, 0x00]);
const dotUrl = `data:image/png;base64,${dot.toBase64()}`;

function showImages(...images: readonly (string | object)[]) {
  const content = images.map((image) => ({
    type: "image_url",
    image_url: typeof image === "string" ? { url: image } : image,
  }));
  return { messages: [{ role: "user", content }, answer] };
}

function attach(file: object) {
  return { messages: [{ role: "user", content: [{ type: "file", file }] }, answer] };
}

/** What the line says of its files. */
function listFiles(line: unknown): readonly string[] {
  return JSON.stringify(line).match(/"fileData":\{[^}]*\}/g) ?? [];
}

describe("convertToGemini() refers to", () => {
  const urls: Readonly<Record<string, string>> = {
    "https://example.com/a.jpg": "image/jpeg",
    "https://example.com/a.JPEG?size=1.pdf#.png": "image/jpeg",
    "gs://bucket/a.png": "image/png",
    "HTTPS://example.com/ü.webp": "image/webp",
  };
  for (const [url, type] of Object.entries(urls)) {
    test(`${url} as ${type}, which is not fetched`, async () => {
      const { lines } = await convertExamples([showImages(url)]);
      expect(listFiles(lines[0])).toEqual([
        `"fileData":{"mimeType":"${type}","fileUri":${JSON.stringify(url)}}`,
      ]);
    });
  }

  test("a document in a bucket", async () => {
    const { lines } = await convertExamples([attach({ file_id: "gs://bucket/a.pdf" })]);
    expect(listFiles(lines[0])).toEqual([
      '"fileData":{"mimeType":"application/pdf","fileUri":"gs://bucket/a.pdf"}',
    ]);
  });
});

describe("convertToGemini() stores", () => {
  test("what came inline, decoded, with its type and line", async () => {
    const stored: unknown[] = [];
    const examples = [
      showImages(dotUrl, "https://example.com/a.png", dotUrl.replace("png", "JPG")),
      attach({ file_data: `data:application/pdf;base64,${dot.toBase64()}` }),
      attach({ file_data: dot.toBase64(), filename: "a.pdf" }),
    ];
    const { lines } = await convertExamples(examples, "refuse", async (bytes, type, line) => {
      stored.push([[...bytes], type, line]);
      return `gs://bucket/"${stored.length}"`;
    });
    expect(stored.toSorted()).toEqual([
      [[...dot], "application/pdf", 2],
      [[...dot], "application/pdf", 3],
      [[...dot], "image/jpeg", 1],
      [[...dot], "image/png", 1],
    ]);
    expect(listFiles(lines[0])[0]).toContain(String.raw`"fileUri":"gs://bucket/\"1\""`);
    expect(listFiles(lines[0])[1]).toContain("https://example.com/a.png");
    expect(listFiles(lines[0])[2]).toContain('"mimeType":"image/jpeg"');
    expect(listFiles(lines[1])).toHaveLength(1);
  });

  test("up to eight lines at once, and keeps the lines in order", async () => {
    let running = 0;
    let most = 0;
    const examples = Array.from({ length: 40 }, (_, index) =>
      index % 2 === 0
        ? showImages(dotUrl)
        : { messages: [{ role: "user", content: `${index}` }, answer] },
    );
    const { lines } = await convertExamples(examples, "refuse", async (_, __, line) => {
      running += 1;
      most = Math.max(most, running);
      await sleep(line % 3);
      running -= 1;
      return `gs://bucket/${line}`;
    });
    expect(most).toBe(8);
    for (const [index, line] of lines.entries()) {
      expect(JSON.stringify(line)).toContain(
        index % 2 === 0 ? `"gs://bucket/${index + 1}"` : `{"text":"${index}"}`,
      );
    }
  });

  test("nothing of an example that is left out, or of what is not learnt", async () => {
    const audio = { type: "input_audio", input_audio: {} };
    const image = { type: "image_url", image_url: { url: dotUrl } };
    const examples = [
      { messages: [{ role: "user", content: [image, audio] }, answer] },
      { messages: [user, answer, { role: "user", content: [image] }, { ...answer, weight: 0 }] },
    ];
    const { lines, report } = await convertExamples(examples, "warn");
    expect(lines).toHaveLength(1);
    expect(listFiles(lines[0])).toEqual([]);
    expect(report.warnings.map(({ line }) => line)).toEqual([1, 2]);
  });

  test("and ends with the error of storing, once the stores it began have ended", async () => {
    const full = new Error("The bucket is full");
    let running = 0;
    const conversion = convertExamples(
      Array(5).fill(showImages(dotUrl)),
      "warn",
      async (_, __, line) => {
        running += 1;
        await sleep(line * 2);
        running -= 1;
        if (line === 2) throw full;
        return "gs://bucket/a";
      },
    );
    expect(await conversion.catch((error: unknown) => error)).toBe(full);
    expect(running).toBe(0);
  });

  test("and waits for the stores it began where the reader stops", async () => {
    let running = 0;
    let begun = 0;
    const text = { messages: [user, { ...answer, content: "x".repeat(2 ** 20) }] };
    const content = new Blob(
      [...Array(3).fill(text), ...Array(9).fill(showImages(dotUrl)), ...Array(9).fill(text)].map(
        (example) => `${JSON.stringify(example)}\n`,
      ),
    );
    const options = {
      onUnsupported: "refuse",
      storeMedia: async () => {
        begun += 1;
        running += 1;
        await sleep(5);
        running -= 1;
        return "gs://bucket/a";
      },
    } as const;
    let pieces = 0;
    for await (const _ of convertToGemini(content, options, signal).lines) {
      pieces += 1;
      if (running > 0 || pieces > 5) break;
    }
    expect(begun).toBeGreaterThan(0);
    expect(running).toBe(0);
  });
});

describe("convertToGemini() sets the resolution", () => {
  const shown = (...details: readonly (string | undefined)[]) =>
    showImages(...details.map((detail) => ({ url: "gs://bucket/a.png", detail })));

  test("of all images at once", async () => {
    const examples = [shown("low", "low"), shown("high"), shown("auto", undefined)];
    const { lines } = await convertExamples(examples);
    expect(lines.map((line) => JSON.stringify(line).match(/MEDIA_RESOLUTION_\w+/)?.[0])).toEqual([
      "MEDIA_RESOLUTION_LOW",
      "MEDIA_RESOLUTION_HIGH",
      undefined,
    ]);
  });

  test("to none, which it lists, where the images differ", async () => {
    const example = shown("low", "auto");
    const { message } = await findRefusal(convertExamples([example]));
    expect(message).toContain("the images have different details");
    const { lines, report } = await convertExamples([example], "warn");
    expect(JSON.stringify(lines)).not.toContain("generationConfig");
    expect(report.warnings.map(({ code }) => code)).toEqual(["unsupported_detail"]);
  });
});

describe("convertToGemini() refuses, or leaves out and lists,", () => {
  const large = `data:image/png;base64,${"AAAA".repeat(6_666_667)}`;
  const cases: Readonly<Record<string, readonly [example: object, sentence: string]>> = {
    "a URL without a known extension": [
      showImages("https://example.com/a"),
      "which is not fetched",
    ],
    "a URL of plain http": [showImages("http://example.com/a.png"), "must be an https or gs URL"],
    "an image of another type": [
      showImages("data:image/gif;base64,AAAA"),
      '.image_url.url is of type "image/gif"',
    ],
    "a document in place of an image": [
      showImages("data:application/pdf;base64,AAAA"),
      "is of type application/pdf",
    ],
    "an image above 20 MB": [showImages(large), "is larger than 20 MB"],
    "31 images": [showImages(...Array(31).fill("gs://bucket/a.png")), "takes 30 images"],
    "a file of another service": [attach({ file_id: "file-abc" }), '.file.file_id is "file-abc"'],
  };
  for (const [title, [example, sentence]] of Object.entries(cases)) {
    test(title, async () => {
      const error = await findRefusal(convertExamples([example]));
      expect(error.message).toContain(sentence);
      expect(error.code).toBe("unsupported_dataset_feature");
      expect(error.message.length).toBeLessThan(500);
      const { lines, report } = await convertExamples(
        [example, { messages: [user, answer] }],
        "warn",
      );
      expect(lines).toHaveLength(1);
      expect(report.warningCount).toBe(1);
    });
  }
});

describe("convertToGemini() always refuses", () => {
  const cases: Readonly<Record<string, readonly [example: object, sentence: string]>> = {
    "broken base64": [showImages("data:image/png;base64,A%%="), "must hold base64"],
    "a data URL in another encoding": [
      showImages("data:image/png,abc"),
      "must be a data URL in base64",
    ],
    "a data URL without data": [showImages("data:image/png"), "must be a data URL in base64"],
    "no bytes": [showImages("data:image/png;base64,"), "holds no bytes"],
    "no url": [showImages({}), "must be an object with a url"],
    "an unknown detail": [showImages({ url: dotUrl, detail: "huge" }), "must be auto, low or high"],
    "a file with nothing in it": [attach({}), "must have file_data or file_id"],
  };
  for (const [title, [example, sentence]] of Object.entries(cases)) {
    test(title, async () => {
      const error = await findRefusal(convertExamples([example], "warn"));
      expect(error.message).toContain(sentence);
      expect(error.code).toBe("invalid_file_format");
    });
  }
});
