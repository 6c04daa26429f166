using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Runtime.CompilerServices;

namespace Tributary.Cli;

/// <summary>Adds an "Examples" section to the help of a command.</summary>
static class HelpExamples
{
    static readonly ConditionalWeakTable<Command, string[]> Examples = [];

    public static Command WithExamples(this Command command, params string[] examples)
    {
        Examples.Add(command, examples);
        return command;
    }

    /// <summary>Makes the root's help option, which every command shares, print the examples after the library's own sections.</summary>
    public static void Install(RootCommand root)
    {
        foreach (var option in root.Options.OfType<HelpOption>())
            option.Action = new ExamplesAction((SynchronousCommandLineAction)option.Action!);
    }

    sealed class ExamplesAction(SynchronousCommandLineAction inner) : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            var code = inner.Invoke(parseResult);
            if (Examples.TryGetValue(parseResult.CommandResult.Command, out var examples))
            {
                var output = parseResult.InvocationConfiguration.Output;
                output.WriteLine("Examples:");
                foreach (var example in examples)
                    output.WriteLine($"  {example}");
                output.WriteLine();
            }

            return code;
        }
    }
}
