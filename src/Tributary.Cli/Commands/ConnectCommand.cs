using System.CommandLine;
using System.Net;
using Tributary.Cli.Output;
using Tributary.Contracts;
using Tributary.Postgres;
using Tributary.Server;
using Tributary.Server.Configuration;
using Tributary.Server.Diagnosis;

namespace Tributary.Cli.Commands;

/// <summary>
/// <c>tributary connect</c>: from a URL to a server that makes branches.
/// <code>
/// 1. read the URL              and refuse what would overwrite or collide, before anything is asked
/// 2. look at production        and at this machine; propose how main follows
/// 3. write the configuration
/// 4. start the server          in the background, and wait until branches can be made
/// </code>
/// What does not serve ends it before step 3, so that nothing is left.
/// </summary>
static class ConnectCommand
{
    const string DefaultFile = "tributary.yaml";
    const string SourceVariable = "TRIBUTARY_SOURCE_URL";

    static readonly Argument<string?> Url = new("url")
    {
        Description = $"Production's URL. Without one, {SourceVariable} is taken, and the file refers to it instead of holding a password",
        Arity = ArgumentArity.ZeroOrOne,
    };

    static readonly Option<string> FileOption = new("--config", "-c") { Description = "The configuration file to write", DefaultValueFactory = static _ => DefaultFile, HelpName = "file" };

    static readonly Option<bool> Force = new("--force") { Description = "Replace the file when it exists" };

    static readonly Option<bool> DryRun = new("--dry-run") { Description = "Show what the file would hold, and write and start nothing" };

    static readonly Option<bool> NoStart = new("--no-start") { Description = "Write the file and start nothing" };

    public static Command Build()
    {
        var command = new Command(
            "connect", "Look at a Postgres, propose how to follow it, write the configuration, start the server in the background, and wait until branches can be made. " +
            "'tributary down' stops the server")
        {
            Url, FileOption, Force, DryRun, NoStart, UpOptions.State, UpOptions.Listen, SharedOptions.Output,
        };
        command.SetAction(RunAsync);
        return command.WithExamples(
            "sudo tributary connect postgresql://postgres@127.0.0.1:5432/shop",
            "sudo tributary connect postgresql://…/shop -c /etc/tributary.yaml --state /data/tributary",
            "tributary connect postgresql://…/shop --dry-run",
            $"{SourceVariable}=postgresql://…/shop tributary connect --no-start --output json");
    }

    static async Task<int> RunAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        // Step 1: read the URL.
        var (plan, code) = ReadPlan(parse);
        if (plan is null)
            return code;

        // Step 2: look at production and at this machine.
        var (found, failure) = await SourceSurvey.RunAsync(plan.Source, plan.State, plan.Listen, cancellationToken);
        if (found is null)
            return Failures.Report(parse, new ProblemResponse("Production does not serve", 0, failure!.Detail, ProblemCodes.SourceUnsuitable, failure.Fix));
        var response = new ConnectResponse { Source = plan.Source.ToString(), Findings = [.. found.Production, .. found.Machine], Proposal = found.Proposal };
        var json = SharedOptions.IsJson(parse);
        var output = parse.InvocationConfiguration.Output;
        if (!json)
            ConnectText.Findings(response, output);
        if (found.Proposal.Mode is null || (plan.Starts && found.Machine.Any(check => check.Outcome == CheckOutcome.Failed)))
            return End(response, CodeOf(found));

        // Step 3: write the configuration.
        var text = ConfigurationWriter.Text(found.Configuration, found.Proposal, plan.SourceText, plan.File);
        if (!TryReadBack(parse, plan, text, out var configuration))
            return ExitCodes.Usage;
        if (parse.GetValue(DryRun))
        {
            response = response with { Content = ConfigurationWriter.Text(found.Configuration, found.Proposal, plan.ShownSourceText, plan.File) };
            if (!json)
                output.Write($"\n{response.Content}");
            return End(response, ExitCodes.Ok);
        }

        try
        {
            ConfigurationWriter.WriteFile(plan.File, text, parse.GetValue(Force));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Failures.Write(parse, $"the configuration cannot be written to {plan.File}: {exception.Message}", "name another file with -c");
            return ExitCodes.Failed;
        }

        response = response with { File = plan.File };
        if (!json)
            ConnectText.Written(plan.File, plan.HoldsPassword, output);

        // Step 4: start the server.
        if (plan.Starts)
        {
            (response, code) = await ConnectStart.RunAsync(parse, response, configuration!, cancellationToken);
            if (code != ExitCodes.Ok)
                return code;
        }

        if (!json)
            ConnectText.Next(response, output);
        return End(response, ExitCodes.Ok);

        int End(ConnectResponse value, int exitCode)
        {
            if (json)
                ServerCommand.Print(parse, value, static contracts => contracts.ConnectResponse, static (_, _) => { });
            return exitCode;
        }
    }

    static (ConnectPlan? Plan, int Code) ReadPlan(ParseResult parse)
    {
        var given = parse.GetValue(Url);
        var variable = Environment.GetEnvironmentVariable(SourceVariable) is { Length: > 0 } value ? value : null;
        if ((given ?? variable) is not { } text)
            return (null, Failures.Usage(parse, "nothing says which Postgres to connect", "give its URL: tributary connect postgresql://user:password@host:5432/database"));
        if (given is not null && variable is not null && given != variable)
            return (null, Failures.Usage(parse, $"the environment variable {SourceVariable} names another Postgres than the URL, and a server would follow that", "unset it, or leave the URL out"));
        if (!PostgresUrl.TryParse(text, out var source, out var error))
            return (null, Failures.Usage(parse, $"the URL does not read: {error}"));
        var listenText = parse.GetValue(UpOptions.Listen) ?? Environment.GetEnvironmentVariable("TRIBUTARY_GATEWAY_LISTEN") ?? "";
        if ((listenText.Length > 0 ? TelemetryConfiguration.ReadAddress(listenText) : new GatewayConfiguration().Listen) is not { } listen)
            return (null, Failures.Usage(parse, $"'{listenText}' is not an address and port", "for example --listen 127.0.0.1:6432"));

        var plan = new ConnectPlan(
            // Found now and kept: the server's Postgres runs as another user, who does not read this one's password file.
            given is null ? source : source with { Password = StoredPassword.Find(source) },
            given is null ? $"${{{SourceVariable}}}" : null,
            UpOptions.StateDirectory(parse),
            listen, Path.GetFullPath(parse.GetRequiredValue(FileOption)), Starts: !parse.GetValue(NoStart) && !parse.GetValue(DryRun));
        if (!parse.GetValue(DryRun) && !parse.GetValue(Force) && File.Exists(plan.File))
        {
            Failures.Write(parse, $"there is a file {plan.File} already", $"start what it says with 'tributary up --detach -c {plan.File}', replace it with --force, or name another with -c", ProblemCodes.AlreadyExists);
            return (null, ExitCodes.AlreadyExists);
        }

        if (plan.Starts && StateLock.IsHeld(plan.State))
        {
            Failures.Write(parse, $"a server runs on the state folder {plan.State} already", "'tributary status' shows it; stop it with 'tributary down', or name another folder with --state", ProblemCodes.AlreadyRunning);
            return (null, ExitCodes.AlreadyRunning);
        }

        return (plan, ExitCodes.Ok);
    }

    // As the server will read it, environment included, so that no surprise is left for its start.
    static bool TryReadBack(ParseResult parse, ConnectPlan plan, string text, out TributaryConfiguration? configuration)
    {
        var read = ConfigurationReader.Read(text, plan.File, new ConfigurationOverrides(), Environment.GetEnvironmentVariable);
        configuration = read.Configuration;
        if (configuration is null)
            Failures.Report(parse, read.Errors);
        else if (configuration.StateDirectory != plan.State || !configuration.Gateway.Listen.Equals(plan.Listen))
            Failures.Usage(parse, "TRIBUTARY_STATE or TRIBUTARY_GATEWAY_LISTEN is set and differs from the flag, and the environment goes over the file", "unset it, or leave the flag out");
        else
            return true;
        return false;
    }

    static int CodeOf(SurveyResult found) => found.Proposal.Mode is null
        ? ExitCodes.SourceUnsuitable
        : found.Machine.First(check => check.Outcome == CheckOutcome.Failed).Name switch
        {
            "gateway port" => ExitCodes.PortTaken,
            "disk space" or "room for main" => ExitCodes.NoSpace,
            _ => ExitCodes.MachineUnsuitable,
        };

    /// <param name="Reference">What stands in the file instead of the URL; null when the URL does.</param>
    sealed record ConnectPlan(PostgresUrl Source, string? Reference, string State, IPEndPoint Listen, string File, bool Starts)
    {
        public string SourceText => Reference ?? Source.ToSecretText();

        public string ShownSourceText => Reference ?? (HoldsPassword ? Source with { Password = "PASSWORD" } : Source).ToSecretText();

        public bool HoldsPassword => Reference is null && Source.Password is not null;
    }
}
