using System.CommandLine;
using Tributary.Cli.Output;
using Tributary.Contracts;
using Tributary.Server;
using Tributary.Server.Configuration;
using Tributary.Server.Diagnosis;
using Tributary.Server.Hosting;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary doctor</c>: asks the running server; without one checks this machine, and production when a configuration or URL names it.</summary>
static class DoctorCommand
{
    static readonly Option<bool> Repair = new("--repair")
    {
        Description = "With the server stopped: rebuild a damaged or lost catalog from the pool, and end what a killed server has left",
    };

    public static Command Build()
    {
        var command = new Command("doctor", "Check this machine and production for what tributary needs, and say how to mend it") { UpOptions.Source, UpOptions.State, Repair, Confirmation.Yes, SharedOptions.Output };
        command.AddServerOptions();
        command.SetAction(RunAsync);
        return command.WithExamples("sudo tributary doctor", "sudo tributary doctor --source postgresql://postgres@db.example.com/shop", "tributary doctor -c tributary.yaml -o json", "sudo tributary doctor --repair -c /etc/tributary.yaml");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        if (parse.GetValue(Repair))
            return await RepairAsync(parse, cancellationToken);
        using var client = ServerFinder.Find(parse);
        if (client is null)
            return ExitCodes.Usage;
        var answer = parse.GetValue(UpOptions.Source) is null ? await client.GetDoctorAsync(cancellationToken) : default;
        if (answer is { Value: null, Problem: { } problem } && problem.Code != ProblemCodes.ServerUnreachable)
            return Failures.Report(parse, problem);
        var doctor = answer.Value;
        if (doctor is null)
        {
            if (!TryConfiguration(parse, out var configuration))
                return ExitCodes.Usage;
            doctor = await Doctor.RunAsync(configuration, configuration?.StateDirectory ?? UpOptions.StateDirectory(parse), running: false, cancellationToken);
        }

        ServerCommand.Print(parse, doctor, static json => json.DoctorResponse, DoctorText.Write);
        return doctor.Healthy ? ExitCodes.Ok : ExitCodes.Failed;
    }

    static async Task<int> RepairAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        if (!TryConfiguration(parse, out var configuration))
            return ExitCodes.Usage;
        if (configuration is null)
            return Failures.Usage(parse, "nothing says which server to repair", "name its configuration with -c, or its source and state folder with --source and --state");
        if (!Confirmation.Given(parse, $"a damaged or lost catalog in {configuration.StateDirectory} by one made from the pool, and ends what a killed server left running there", "replaces"))
            return ExitCodes.Usage;
        var (repaired, failure) = await ServerRepair.RunAsync(configuration, TimeProvider.System, cancellationToken);
        if (failure is not null)
            return Failures.Report(parse, failure);
        ServerCommand.Print(parse, repaired!, static json => json.RepairResponse, RepairText.Write);
        return ExitCodes.Ok;
    }

    static bool TryConfiguration(ParseResult parse, out TributaryConfiguration? configuration)
    {
        var source = parse.GetValue(UpOptions.Source);
        configuration = null;
        var file = ServerFinder.ConfigFile(parse);
        if (file is null && !UpOptions.NameSource(parse))
            return true;
        var read = ConfigurationReader.ReadFile(file, new ConfigurationOverrides { Source = parse.GetValue(UpOptions.Source), State = parse.GetValue(UpOptions.State), Branching = file is null }, Environment.GetEnvironmentVariable);
        configuration = read.Configuration;
        if (configuration is null)
            Failures.Report(parse, read.Errors);
        return configuration is not null;
    }
}
