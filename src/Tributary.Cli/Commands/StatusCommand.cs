using System.CommandLine;
using Tributary.Cli.Output;
using Tributary.Contracts;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary status</c></summary>
static class StatusCommand
{
    public static Command Build() => new Command("status", "Show what the running server does")
        .AskingServer<StatusResponse>(static (client, _, cancellationToken) => client.GetStatusAsync(cancellationToken), static json => json.StatusResponse, StatusText.Status)
        .WithExamples("tributary status", "tributary status --output json | jq .branching.mainLsn");
}
