using Tributary.Branching;
using Tributary.Streaming;

namespace Tributary.Server;

/// <summary>The stream that brings production into main.</summary>
static class MainStream
{
    /// <summary>All of it but its target, which is of branching's making.</summary>
    public static StreamOptions Options(BranchingOptions branching) => new()
    {
        Name = IMainFeed.Name,
        Source = branching.Source ?? throw new InvalidOperationException("A main that is streamed into needs a source."),
        SlotName = branching.SlotName,
        PublicationName = branching.SlotName,
        // No stream's name has a hyphen, so that none shares the folder.
        SpoolFolder = Path.Combine(branching.StateDirectory, TributaryConfiguration.SpoolFolder, "main-feed"),
    };
}
