import js from "@eslint/js";
import typescript from "typescript-eslint";

export default [
  { ignores: ["build/", "node_modules/"] },
  js.configs.recommended,
  ...typescript.configs.recommended,
  {
    rules: {
      "no-console": ["error", { allow: ["error"] }],
      "no-param-reassign": "error",
      "prefer-const": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      // The class and its registers are declared apart, because the registers are defined at run time.
      "@typescript-eslint/no-unsafe-declaration-merging": "off",
      "@typescript-eslint/no-empty-object-type": "off",
    },
  },
  {
    files: ["**/*.mjs"],
    languageOptions: {
      globals: {
        process: "readonly",
        console: "readonly",
        Buffer: "readonly",
        URL: "readonly",
        setTimeout: "readonly",
        clearTimeout: "readonly",
        setInterval: "readonly",
        clearInterval: "readonly",
      },
    },
  },
  {
    files: ["**/*.cjs"],
    languageOptions: { sourceType: "commonjs", globals: { process: "readonly", require: "readonly" } },
    rules: { "@typescript-eslint/no-require-imports": "off" },
  },
  { files: ["scripts/**", "test/**", "bench/**", "native/setup/**"], rules: { "no-console": "off" } },
];
