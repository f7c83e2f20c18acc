// The page: what is around every view.

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";

import { BASE, get, post, setCsrf, whenWaiting } from "./api.js";
import { List } from "./list.jsx";
import { Login } from "./login.jsx";
import { ReplayFile } from "./replay.jsx";
import { Link, useRoute } from "./route.jsx";
import { WorkflowPage } from "./workflow.jsx";

function App() {
  const route = useRoute();
  const [session, setSession] = useState(null);
  const [problem, setProblem] = useState("");
  const [waits, setWaits] = useState(false);
  const load = () =>
    get("/api/session").then((found) => {
      setCsrf(found.csrf);
      setSession(found);
      setProblem("");
    }, (error) => setProblem(error.message));
  useEffect(() => {
    whenWaiting(setWaits);
    load();
  }, []);

  const logout = async () => {
    await post("/api/logout").catch(() => {});
    load();
  };
  const needLogin = () => setSession((old) => ({ ...old, loggedIn: false, isOver: true }));

  let view = null;
  if (problem) view = <main class="note"><h1>No answer</h1><p>{problem}</p><button type="button" onClick={load}>Try again</button></main>;
  else if (!session) view = <main aria-busy="true" />;
  else if (route.page === "replay") view = <ReplayFile />;
  else if (!session.loggedIn) view = <Login isOver={session.isOver} onDone={load} />;
  else if (route.page === "workflow") view = <WorkflowPage key={`${route.namespace}/${route.name}`} route={route} session={session} onLogin={needLogin} />;
  else view = <List route={route} session={session} onLogin={needLogin} />;

  return (
    <>
      <header class="top">
        <Link to="/" class="brand"><img src={`${BASE}/static/icon.svg`} alt="" width="26" height="26" />Workflows</Link>
        {session?.server && <span class="server" title="The API server">{session.server.replace(/^https?:\/\//, "")}</span>}
        <span class="gap" />
        <Link to="/replay" class="quiet">Open a recording</Link>
        {session?.auth === "token" && session.loggedIn && <button type="button" class="quiet" onClick={logout}>Log out</button>}
      </header>
      <p class="waits" role="status">{waits && "More is asked than may be at a time. The page waits, and goes on by itself."}</p>
      {view}
    </>
  );
}

render(<App />, document.getElementById("page"));
