// Logging in with a token.

import { useState } from "preact/hooks";

import { post } from "./api.js";

// isOver: there was a login, and it does not count any more.
export function Login({ isOver, onDone }) {
  const [problem, setProblem] = useState(isOver ? "Your login is over, or its token has expired. Log in again, and this page goes on." : "");
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await post("/api/login", { token: new FormData(event.target).get("token").trim() });
      onDone();
    } catch (error) {
      setProblem(error.message);
    }
    setBusy(false);
  };
  return (
    <main class="note">
      <h1>Log in</h1>
      <p>The page shows what your own token may see. For a service account, <code>kubectl create token NAME</code> makes one.</p>
      <form onSubmit={submit}>
        <label for="token">Token</label>
        <input id="token" name="token" type="password" autocomplete="off" required autofocus spellcheck={false} />
        <button type="submit" class="primary" disabled={busy}>Log in</button>
      </form>
      <p class="problem" role="alert">{problem}</p>
    </main>
  );
}
