namespace Tributary.Streaming;

/// <summary>A stream whose target is a byte stream, above all standard output: a line of JSON for each change.</summary>
public sealed record StdoutOptions
{
    /// <summary>
    /// Where the lines go; the caller keeps it open until the stream has ended, and closes it. A <see cref="FileStream"/> is synchronized with
    /// the disk before a position is saved, so that a file which takes the lines loses none in a power cut.
    /// </summary>
    public required Stream Output { get; init; }

    /// <summary>The file that keeps the position. Its folder is made when it is missing; beside it lie files of the same name with <c>.lock</c> and <c>.tables</c>.</summary>
    public required string CheckpointFile { get; init; }

    internal string ShapesFile => CheckpointFile + ".tables";

    /// <summary>Bytes of lines that are gathered before they are written; a longer line is written alone. The usual capacity of a pipe.</summary>
    public int BufferBytesMax { get; init; } = 64 * 1024;
}
