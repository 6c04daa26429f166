using System.CommandLine;
using Tributary.Cli.Output;
using Tributary.Contracts;
using Tributary.Server;
using Tributary.Server.Configuration;
using Tributary.Server.Diagnosis;

namespace Tributary.Cli.Commands;

/// <summary><c>tributary doctor</c>: asks the running server; without one checks this machine, and production when a configuration or URL names it.</summary>
static class DoctorCommand
{
    public static Command Build()
    {
        var command = new Command("doctor", "Check this machine and production for what tributary needs, and say how to mend it") { UpOptions.Source, SharedOptions.Output };
        command.AddServerOptions();
        command.SetAction(RunAsync);
        return command.WithExamples("sudo tributary doctor", "sudo tributary doctor --source postgresql://postgres@db.example.com/shop", "tributary doctor -c tributary.yaml -o json");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        using var client = ServerFinder.Find(parse);
        if (client is null)
            return ExitCodes.Usage;
        var source = parse.GetValue(UpOptions.Source);
        var answer = source is null ? await client.GetDoctorAsync(cancellationToken) : default;
        if (answer is { Value: null, Problem: { } problem } && problem.Code != ProblemCodes.ServerUnreachable)
            return Failures.Report(parse, problem);
        var doctor = answer.Value;
        if (doctor is null)
        {
            if (!TryConfiguration(parse, source, out var configuration))
                return ExitCodes.Usage;
            doctor = await Doctor.RunAsync(configuration, running: false, cancellationToken);
        }

        ServerCommand.Print(parse, doctor, static json => json.DoctorResponse, DoctorText.Write);
        return doctor.Healthy ? ExitCodes.Ok : ExitCodes.Failed;
    }

    static bool TryConfiguration(ParseResult parse, string? source, out TributaryConfiguration? configuration)
    {
        configuration = null;
        var file = ServerFinder.ConfigFile(parse);
        if (file is null && source is null)
            return true;
        var read = ConfigurationReader.ReadFile(file, new ConfigurationOverrides { Source = source, Branching = file is null }, Environment.GetEnvironmentVariable);
        configuration = read.Configuration;
        if (configuration is null)
            Failures.Report(parse, read.Errors);
        return configuration is not null;
    }
}
