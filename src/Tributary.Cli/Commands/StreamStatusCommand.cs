using System.CommandLine;
using Tributary.Cli.Output;
using Tributary.Contracts;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary stream status</c></summary>
static class StreamStatusCommand
{
    public static Command Build() => new Command("status", "Show the streams of the running server: progress and lag")
        .AskingServer<StreamListResponse>(
            static (client, _, cancellationToken) => client.ListStreamsAsync(cancellationToken), static json => json.StreamListResponse,
            static (list, output) => StatusText.Streams(list.Streams, output))
        .WithExamples("tributary stream status", "tributary stream status -o json | jq '.streams[].lagMsP99'");
}
