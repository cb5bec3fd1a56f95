// What every program of a node client shares: where the server is, and how it says what worked.

export const URL_OF_SERVER = process.env.SERVER_URL;
export const V1 = `${URL_OF_SERVER}/v1`;
export const QUESTION = "What is the weather in Berlin?";
export const TOKENS = 120;

// Try each feature: its function throws, or gives something false, where it does not work.
export async function run(features) {
  for (const [feature, check] of Object.entries(features)) {
    let problem = "";
    try {
      if (!(await check())) problem = "it returned nothing";
    } catch (error) {
      console.error(error);
      problem = String(error).slice(0, 300);
    }
    console.log(JSON.stringify({ feature, problem }));
  }
}
