// The room GuestImages.
