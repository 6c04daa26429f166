using System.CommandLine;
using Tributary.Cli.Output;
using Tributary.Contracts;
using Tributary.Postgres.Programs;
using Tributary.Server;

namespace Tributary.Cli;

/// <summary>The last step of <c>tributary connect</c>: a server in the background, watched until branches can be made.</summary>
static class ConnectStart
{
    /// <summary>Quick enough to look alive.</summary>
    static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(250);

    /// <returns>The response with the server in it, and the exit code; what went wrong has been told.</returns>
    public static async Task<(ConnectResponse Response, int Code)> RunAsync(ParseResult parse, ConnectResponse response, TributaryConfiguration configuration, CancellationToken cancellationToken)
    {
        var error = parse.InvocationConfiguration.Error;
        try
        {
            using var server = await DetachedServer.StartAsync(["-c", response.File!], configuration, cancellationToken);
            response = response with { Log = server.LogFile };
            try
            {
                using var progress = new FollowingProgress(error, quiet: SharedOptions.IsJson(parse), TimeProvider.System);
                return await WaitAsync(parse, server, progress, response, configuration, cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                error.WriteLine("the server goes on in the background: 'tributary status' shows how far it is, 'tributary down' stops it");
                return (response, ExitCodes.Cancelled);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ChildProcessException)
        {
            Failures.Write(parse, $"the server cannot be started in the background: {exception.Message}", $"run as root, or name another state folder with --state; {response.File} is written");
            return (response, ExitCodes.Failed);
        }
    }

    static async Task<(ConnectResponse Response, int Code)> WaitAsync(
        ParseResult parse, DetachedServer server, FollowingProgress progress, ConnectResponse response, TributaryConfiguration configuration, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(LookInterval, TimeProvider.System);
        var status = await server.AnswersAsync(cancellationToken);
        while (status is not null)
        {
            progress.Show(status.Branching);
            if (IsReady(status.Branching, configuration))
                return (response with { Status = status }, ExitCodes.Ok);
            if (status.Branching is { State: PartState.Failed } or { Phase: "failed" })
            {
                progress.Dispose();
                var problem = new ProblemResponse(
                    "Main does not follow", 0, $"main does not follow production: {status.Branching.Error ?? "the server does not say why"}", ProblemCodes.BranchingNotReady,
                    $"the server tries again in the background: 'tributary status' shows it, {server.LogFile} says more, 'tributary down' stops it");
                return (response, Failures.Report(parse, problem));
            }

            await timer.WaitForNextTickAsync(cancellationToken);
            status = await server.AnswersAsync(cancellationToken);
        }

        progress.Dispose();
        return (response, server.ReportEnd(parse.InvocationConfiguration.Error));
    }

    // The first branch as of now needs a spare; one that cannot be made is told by the error, and a branch then costs a recovery or comes of a seed.
    static bool IsReady(BranchingStatusResponse branching, TributaryConfiguration configuration) =>
        branching is { State: PartState.Running, Phase: "following", Seeds.Count: > 0 } && (branching.SparesReady > 0 || branching.Error is not null || !configuration.KeepsSpares);
}
