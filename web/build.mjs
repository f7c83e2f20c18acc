// Bundles the page into pkg/dashboard/static/. The same sources give the same bytes.
import { build } from "esbuild";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "pkg", "dashboard", "static");
const module_ = (path) => join(here, "node_modules", path);

await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.jsx", style: "src/style.css" },
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022", "chrome110", "firefox115", "safari16"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  charset: "utf8",
  external: ["*.woff2"],
  outdir: out,
});
for (const file of ["index.html", "icon.svg"]) copyFileSync(join(here, "src", file), join(out, file));
copyFileSync(module_("@fontsource-variable/inter/files/inter-latin-wght-normal.woff2"), join(out, "inter.woff2"));
const licences = [
  ["preact", readFileSync(module_("preact/LICENSE"), "utf8")],
  ["Inter (the font in inter.woff2)", readFileSync(module_("@fontsource-variable/inter/LICENSE"), "utf8")],
];
writeFileSync(join(out, "licences.txt"), licences.map(([name, text]) => `${name}\n\n${text.trim()}\n`).join("\n----\n\n"));
