using System.CommandLine;

return await new RootCommand("Stream your Postgres anywhere. Give every agent a copy it can break.").Parse(args).InvokeAsync();
