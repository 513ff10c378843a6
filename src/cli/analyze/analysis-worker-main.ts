import { startProgram } from "../bundle/load-bundle";

startProgram("analysis-worker");
