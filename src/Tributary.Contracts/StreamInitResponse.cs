namespace Tributary.Contracts;

/// <summary>What a stream finds when it starts.</summary>
/// <param name="Ready">What was made or was there already, a phrase each.</param>
/// <param name="Warnings">What the check found besides; nothing of it hinders a start.</param>
public sealed record StreamInitResponse(string Stream, IReadOnlyList<string> Ready, IReadOnlyList<StreamFindingResponse> Warnings);
