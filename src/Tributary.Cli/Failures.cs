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
            WriteJson(parse, problem);
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
        var (exit, code) = CodesOf(failure.Kind);
        Write(parse, failure.Message, failure.Hint, code);
        return exit;
    }

    public static int Report(ParseResult parse, IReadOnlyList<ConfigurationError> errors)
    {
        Write(
            parse, [.. errors.Select(static error => $"{error}")], errors.Count == 1 ? "1 error in the configuration; nothing was started" : $"{errors.Count} errors in the configuration; nothing was started",
            ProblemCodes.WrongConfiguration);
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
        Write(
            parse, parse.UnmatchedTokens is [var first, ..] ? [Unknown(parse, first)] : [.. parse.Errors.Select(error => error.Message)], $"'{path} --help' shows what can be given",
            ProblemCodes.WrongUsage);
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
        Write(parse, message, hint, ProblemCodes.WrongUsage);
        return ExitCodes.Usage;
    }

    /// <param name="code">One of <see cref="ProblemCodes"/>, for programs.</param>
    public static void Write(ParseResult parse, string message, string? hint, string code = ProblemCodes.Failed) => Write(parse, [message], hint, code);

    /// <summary>Several failures that one hint serves: a line each, or with <c>--output json</c> one object, whose detail has a line each.</summary>
    public static void Write(ParseResult parse, IReadOnlyList<string> messages, string? hint, string code)
    {
        if (SharedOptions.IsJson(parse))
        {
            WriteJson(parse, new ProblemResponse("The command failed", 0, string.Join('\n', messages), code, hint));
            return;
        }

        var output = parse.InvocationConfiguration.Error;
        foreach (var message in messages)
            output.WriteLine($"error: {message}");
        foreach (var line in (hint ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries))
            output.WriteLine($"hint: {line}");
    }

    static void WriteJson(ParseResult parse, ProblemResponse problem) =>
        parse.InvocationConfiguration.Error.WriteLine(JsonSerializer.Serialize(problem, ContractsJson.Indented.ProblemResponse));

    static (int Exit, string Code) CodesOf(FailureKind kind) => kind switch
    {
        FailureKind.AlreadyRunning => (ExitCodes.AlreadyRunning, ProblemCodes.AlreadyRunning),
        FailureKind.SourceUnsuitable => (ExitCodes.SourceUnsuitable, ProblemCodes.SourceUnsuitable),
        FailureKind.TargetUnsuitable => (ExitCodes.TargetUnsuitable, ProblemCodes.TargetUnsuitable),
        FailureKind.PortTaken => (ExitCodes.PortTaken, ProblemCodes.PortTaken),
        FailureKind.NoSpace => (ExitCodes.NoSpace, ProblemCodes.NoSpace),
        FailureKind.MachineUnsuitable => (ExitCodes.MachineUnsuitable, ProblemCodes.MachineUnsuitable),
        FailureKind.BadCertificate or FailureKind.Configuration => (ExitCodes.Usage, ProblemCodes.WrongConfiguration),
        FailureKind.StateUnusable => (ExitCodes.Failed, ProblemCodes.StateUnusable),
        _ => (ExitCodes.Failed, ProblemCodes.Failed),
    };
}
