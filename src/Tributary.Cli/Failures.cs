using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.Json;
using Tributary.Contracts;
using Tributary.Server;
using Tributary.Server.Configuration;

namespace Tributary.Cli;

/// <summary>The one place where a failure becomes words on standard error and an exit code.</summary>
static class Failures
{
    public static int Report(ParseResult parse, ProblemResponse problem)
    {
        if (SharedOptions.IsJson(parse))
            parse.InvocationConfiguration.Error.WriteLine(JsonSerializer.Serialize(problem, ContractsJson.Indented.ProblemResponse));
        else
            Write(parse, problem.Detail, problem.Hint);
        return problem.Code switch
        {
            ProblemCodes.ServerUnreachable => ExitCodes.ServerUnreachable,
            ProblemCodes.BranchNotFound or ProblemCodes.NotFound => ExitCodes.NotFound,
            ProblemCodes.InvalidName or ProblemCodes.InvalidRequest => ExitCodes.Usage,
            ProblemCodes.BranchExists => ExitCodes.AlreadyExists,
            ProblemCodes.BranchingNotReady => ExitCodes.NotReady,
            ProblemCodes.SourceUnsuitable => ExitCodes.SourceUnsuitable,
            ProblemCodes.PoolFull => ExitCodes.NoSpace,
            _ => ExitCodes.Failed,
        };
    }

    public static int Report(ParseResult parse, OperationFailure failure)
    {
        Write(parse, failure.Message, failure.Hint);
        return CodeOf(failure.Kind);
    }

    public static int Report(ParseResult parse, IReadOnlyList<ConfigurationError> errors)
    {
        var output = parse.InvocationConfiguration.Error;
        foreach (var error in errors)
            output.WriteLine($"error: {error}");
        output.WriteLine(errors.Count == 1 ? "hint: 1 error in the configuration; nothing was started" : $"hint: {errors.Count} errors in the configuration; nothing was started");
        return ExitCodes.Usage;
    }

    /// <summary>A command line that does not parse. A group of commands by itself shows its help; anything else says what is wrong, without a page of help over it.</summary>
    public static int ReportUsage(ParseResult parse)
    {
        var path = PathOf(parse.CommandResult);
        if (parse.CommandResult.Command.Subcommands.Count > 0 && parse.UnmatchedTokens.Count == 0)
        {
            CommandLineRoot.Build().Parse([.. path.Split(' ').Skip(1), "--help"]).Invoke();
            return ExitCodes.Usage;
        }

        // What follows a word that is not known cannot be made out either, so only the first is told.
        foreach (var message in parse.UnmatchedTokens is [var first, ..] ? [Unknown(parse, first)] : parse.Errors.Select(error => error.Message))
            Write(parse, message, null);
        Hint(parse, $"'{path} --help' shows what can be given");
        return ExitCodes.Usage;
    }

    static string PathOf(CommandResult result) => result.Parent is CommandResult parent ? $"{PathOf(parent)} {result.Command.Name}" : "tributary";

    static string Unknown(ParseResult parse, string token)
    {
        var command = parse.CommandResult.Command;
        var known = token.StartsWith('-') ? command.Options.Select(option => option.Name) : command.Subcommands.Select(subcommand => subcommand.Name);
        var near = ConfigurationKeys.Nearest(token, known);
        return $"'{token}' is not known here{(near is null ? "" : $"; did you mean '{near}'?")}";
    }

    public static int Usage(ParseResult parse, string message, string? hint = null)
    {
        Write(parse, message, hint);
        return ExitCodes.Usage;
    }

    public static void Write(ParseResult parse, string message, string? hint)
    {
        var output = parse.InvocationConfiguration.Error;
        output.WriteLine($"error: {message}");
        Hint(parse, hint ?? "");
    }

    static void Hint(ParseResult parse, string hint)
    {
        foreach (var line in hint.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            parse.InvocationConfiguration.Error.WriteLine($"hint: {line}");
    }

    static int CodeOf(FailureKind kind) => kind switch
    {
        FailureKind.AlreadyRunning => ExitCodes.AlreadyRunning,
        FailureKind.SourceUnsuitable => ExitCodes.SourceUnsuitable,
        FailureKind.TargetUnsuitable => ExitCodes.TargetUnsuitable,
        FailureKind.PortTaken => ExitCodes.PortTaken,
        FailureKind.NoSpace => ExitCodes.NoSpace,
        FailureKind.MachineUnsuitable => ExitCodes.MachineUnsuitable,
        FailureKind.BadCertificate or FailureKind.Configuration => ExitCodes.Usage,
        _ => ExitCodes.Failed,
    };
}
