using System.CommandLine;
using Tributary.Cli.Output;
using Tributary.Contracts;
using Tributary.Server.Configuration;
using Tributary.Server.Hosting;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary destroy</c>: takes back all that a stopped server has made.</summary>
static class DestroyCommand
{
    static readonly Option<bool> LocalOnly = new("--local-only") { Description = "Remove only what is on this machine, when production is gone for good" };

    public static Command Build()
    {
        var command = new Command(
            "destroy", "Remove all that a stopped server has made: its slots and publications on production, all branches, the pool and the state folder. " +
            "A slot that is left behind keeps production's log until its disk is full. Copied tables stay at the targets.")
        {
            UpOptions.Source, UpOptions.Replica, UpOptions.State, LocalOnly, Confirmation.Yes, SharedOptions.Config, SharedOptions.Output,
        };
        command.SetAction(RunAsync);
        return command.WithExamples(
            "sudo tributary destroy -c /etc/tributary.yaml",
            "sudo tributary destroy --source postgresql://…/shop --replica postgresql://…/shop_copy --yes",
            "sudo tributary destroy -c /etc/tributary.yaml --local-only --yes");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        var file = ServerFinder.ConfigFile(parse);
        var read = ConfigurationReader.ReadFile(
            file, new ConfigurationOverrides { Source = parse.GetValue(UpOptions.Source), Replica = parse.GetValue(UpOptions.Replica), State = parse.GetValue(UpOptions.State), Branching = file is null },
            Environment.GetEnvironmentVariable);
        if (read.Configuration is not { } configuration)
            return Failures.Report(parse, read.Errors);
        var localOnly = parse.GetValue(LocalOnly);
        var production = localOnly || configuration.Source is null ? "" : $", and the slots that it has on {configuration.Source}";
        if (!Directory.Exists(configuration.StateDirectory))
        {
            Failures.Write(parse, $"there is no state folder {configuration.StateDirectory}", "name it with --state or 'state:'", ProblemCodes.NotFound);
            return ExitCodes.NotFound;
        }

        if (!Confirmation.Given(parse, $"every branch and all else that tributary keeps in {configuration.StateDirectory}{production}"))
            return ExitCodes.Usage;
        var (removed, failure) = await ServerRemoval.RunAsync(configuration, localOnly, TimeProvider.System, cancellationToken);
        if (failure is not null)
            return Failures.Report(parse, failure);
        ServerCommand.Print(parse, removed!, static json => json.RemovalResponse, RemovalText.Write);
        return ExitCodes.Ok;
    }
}
