/* SPDX-License-Identifier: Apache-2.0 */
/* hello_image from C++: handles close themselves, errors are exceptions, a lambda watches the chain of thought.
 *   c++ -std=c++17 hello.cpp -o hello $(pkg-config --cflags --libs muse)
 *   ./hello [MODEL [PICTURE [QUESTION]]] */
#include <muse/muse.hpp>

#include <cmath>
#include <iostream>

int main(int argc, char **argv)
try {
    const muse::Model model(argc > 1 ? argv[1] : "models/muse-nano");
    const muse::Image image(argc > 2 ? argv[2] : "examples/media/shapes.png");
    const std::string question = argc > 3 ? argv[3] : "What color is the circle?";
    MuseReasonParams params = muse::defaults<MuseReasonParams>();
    params.mode = MUSE_MODE_THINKING;

    const muse::Result result = muse::reason(model, { image, question }, params, [](const MuseReasonEvent &event) {
        if (event.kind == MUSE_EVENT_STEP && event.step->image)
            std::cout << "near pixel " << std::lround((event.step->rect.x0 + event.step->rect.x1) / 2) << ", " << std::lround((event.step->rect.y0 + event.step->rect.y1) / 2)
                      << " of picture " << event.step->image << '\n';
        return true;   // false would stop the run
    });
    std::cout << (result.answered() ? result.answer() : "no answer") << '\n';
    return 0;
} catch (const muse::error &e) {
    std::cerr << e.what() << " (" << muse_status_name(e.code()) << ")\n";
    return 1;
}
