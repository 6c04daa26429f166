using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Tributary.Contracts;
using Tributary.Contracts.Client;

namespace Tributary.Cli;

/// <summary>A command that asks a running server one thing and prints the answer.</summary>
static class ServerCommand
{
    /// <summary>Gives the command the options that find a server and choose the output, and its action.</summary>
    public static Command AskingServer<T>(
        this Command command, Func<TributaryClient, ParseResult, CancellationToken, Task<ApiResult<T>>> ask,
        Func<ContractsJson, JsonTypeInfo<T>> type, Action<T, TextWriter> print)
        where T : class
    {
        command.Add(SharedOptions.Output);
        command.AddServerOptions();
        command.SetAction(async (parse, cancellationToken) =>
        {
            using var client = ServerFinder.Find(parse);
            if (client is null)
                return ExitCodes.Usage;
            var answer = await ask(client, parse, cancellationToken);
            if (!answer.Succeeded)
                return Failures.Report(parse, answer.Problem);
            Print(parse, answer.Value, type, print);
            return ExitCodes.Ok;
        });
        return command;
    }

    public static void AddServerOptions(this Command command)
    {
        command.Add(SharedOptions.Socket);
        command.Add(SharedOptions.Config);
    }

    public static void Print<T>(ParseResult parse, T value, Func<ContractsJson, JsonTypeInfo<T>> type, Action<T, TextWriter> print) =>
        Print(parse, value, type, print, parse.InvocationConfiguration.Output);

    public static void Print<T>(ParseResult parse, T value, Func<ContractsJson, JsonTypeInfo<T>> type, Action<T, TextWriter> print, TextWriter output)
    {
        if (SharedOptions.IsJson(parse))
            output.WriteLine(JsonSerializer.Serialize(value, type(ContractsJson.Indented)));
        else
            print(value, output);
    }
}
