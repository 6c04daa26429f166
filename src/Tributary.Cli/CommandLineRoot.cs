using System.CommandLine;
using Tributary.Cli.Commands;

namespace Tributary.Cli;

/// <summary>The tree of commands.</summary>
static class CommandLineRoot
{
    /// <summary>How long a server may take to stop after Ctrl-C: each part has 30 s, and most stop together.</summary>
    public static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(60);

    public static RootCommand Build()
    {
        var root = new RootCommand("Stream your Postgres anywhere. Give every agent a copy it can break.")
        {
            DemoCommand.Build(),
            ConnectCommand.Build(),
            UpCommand.Build(),
            DownCommand.Build(),
            StatusCommand.Build(),
            DoctorCommand.Build(),
            new Command("stream", "Stream production's rows to another Postgres, or as lines of JSON")
            {
                StreamInitCommand.Build(), StreamRunCommand.Build(), StreamStatusCommand.Build(), StreamCheckCommand.Build(), StreamDestroyCommand.Build(),
            },
            new Command("branch", "Make, show, enter, reset and delete branches")
            {
                BranchCreateCommand.Build(), BranchListCommand.Build(), BranchGetCommand.Build(), BranchDeleteCommand.Build(), BranchConnectCommand.Build(),
                BranchLogsCommand.Build(), BranchTreeCommand.Build(), BranchSetCommand.Build(), BranchRenameCommand.Build(), BranchProtectCommand.Build(),
                BranchProtectCommand.BuildUnprotect(), BranchResetCommand.Build(), BranchRestoreCommand.Build(), BranchImportCommand.Build(),
            },
            CostCommand.Build(),
            DestroyCommand.Build(),
            VersionCommand.Build(),
            CompletionCommand.Build(),
        };
        root.WithExamples(
            "tributary connect postgresql://postgres@127.0.0.1:5432/shop",
            "tributary branch create agent-42",
            "tributary branch connect agent-42 -- -c 'SELECT count(*) FROM orders'",
            "tributary status --output json");
        HelpExamples.Install(root);
        return root;
    }
}
